"""Every page in Chromium, on the demo: no error, no request elsewhere, no serious finding of axe-core, at any width."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator

from dashboard.in_chromium.tabs import Tab
from regulars.dashboard.registry import PAGES

pytestmark = pytest.mark.xdist_group("documentation")

PATHS = [each.path for each in PAGES if "{" not in each.path and not each.path.endswith(".json") and not each.is_public]

ENTRIES = [each for each in PAGES if each.is_entry]
"""The pages that the navigation leads to."""


def navigation_link(tab: Tab, title: str) -> Locator:
    """The link of an entry of the navigation."""
    return tab.page.get_by_role("navigation").get_by_role("link", name=title, exact=True)


@pytest.mark.parametrize("path", [each for each in PATHS if each not in {entry.path for entry in ENTRIES}])
def test_a_page_is_accessible_and_fits_every_screen(path: str, administrator: Tab) -> None:
    assert administrator.open(path) == 200
    assert administrator.accessibility_findings() == []
    administrator.look_at(path)


def test_the_navigation_leads_to_every_entry_which_is_accessible_and_fits_every_screen(administrator: Tab) -> None:
    page = administrator.page
    administrator.open("/account")
    for entry in ENTRIES:
        assert administrator.follow(navigation_link(administrator, entry.title)) == 200
        assert urlsplit(page.url).path == entry.path
        assert page.get_by_role("heading", level=1).is_visible()
        assert page.locator("nav.navigation a[aria-current]").inner_text() == entry.title
        assert administrator.accessibility_findings() == [], entry.path
        administrator.look_at(entry.path)
        assert administrator.problems == []


def test_pages_work_without_scripts(administrator: Tab) -> None:
    page = administrator.page
    developer_tools = page.context.new_cdp_session(page)
    developer_tools.send("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        for entry in ENTRIES:
            answer = page.goto(administrator.base + entry.path)
            assert answer is not None
            assert answer.status == 200
            assert page.locator("h1").first.is_visible(), entry.path
    finally:
        developer_tools.send("Emulation.setScriptExecutionDisabled", {"value": False})
        developer_tools.detach()


def test_the_sign_in_is_accessible_in_norwegian_and_english(visitor: Tab) -> None:
    visitor.open("/sign-in")
    assert visitor.accessibility_findings() == []
    visitor.look_at("sign-in")
    visitor.page.get_by_role("link", name="Norsk").click()
    assert visitor.page.get_by_role("heading", level=1).inner_text() == "Logg inn"
    assert visitor.page.locator("html").get_attribute("lang") == "nb"


def test_the_manager_of_a_store_sees_that_store(manager: Tab) -> None:
    manager.open("/")
    assert manager.page.get_by_role("heading", level=1).is_visible()


def test_the_keyboard_reaches_the_content_first(administrator: Tab) -> None:
    administrator.open("/account")
    administrator.page.keyboard.press("Tab")
    assert administrator.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    administrator.page.keyboard.press("Enter")
    assert administrator.page.evaluate("document.activeElement.id") == "content"
