"""Every page in Chromium, on the demo: no error, no request elsewhere, no serious finding of axe-core, at any width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from dashboard.browsers import Tab, open_tab
from dashboard.conftest import DemoSite
from regulars.dashboard.registry import PAGES

pytestmark = pytest.mark.xdist_group("documentation")

PATHS = [each.path for each in PAGES if "{" not in each.path and not each.path.endswith(".json") and not each.is_public]

ENTRIES = [each for each in PAGES if each.is_entry]
"""The pages that the navigation leads to."""


def sign_in(tab: Tab, demo: DemoSite, person: str) -> None:
    """Signs in one of the people of the demo."""
    tab.sign_in(f"{person}@demo.example", demo.passwords[person])


@pytest.fixture(scope="module")
def administrator(chromium: Browser, demo_site: DemoSite) -> Iterator[Tab]:
    """A tab of an administrator, for all pages."""
    with open_tab(chromium, demo_site.address) as tab:
        sign_in(tab, demo_site, "ada")
        yield tab


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_accessible_and_fits_every_screen(path: str, administrator: Tab) -> None:
    assert administrator.open(path) == 200
    administrator.page.set_viewport_size({"width": 1440, "height": 900})
    assert administrator.accessibility_findings() == []
    administrator.save_screenshots(path)
    assert administrator.problems == []


def test_pages_work_without_scripts(chromium: Browser, demo_site: DemoSite) -> None:
    with open_tab(chromium, demo_site.address, java_script_enabled=False) as tab:
        sign_in(tab, demo_site, "ada")
        for entry in ENTRIES:
            assert tab.open(entry.path) == 200
            assert tab.page.locator("h1").first.is_visible(), entry.path


def test_the_sign_in_is_accessible_in_norwegian_and_english(chromium: Browser, demo_site: DemoSite) -> None:
    with open_tab(chromium, demo_site.address) as tab:
        tab.open("/sign-in")
        assert tab.accessibility_findings() == []
        tab.save_screenshots("sign-in")
        tab.page.get_by_role("link", name="Norsk").click()
        assert tab.page.get_by_role("heading", level=1).inner_text() == "Logg inn"
        assert tab.page.locator("html").get_attribute("lang") == "nb"


def test_the_manager_of_a_store_sees_that_store(chromium: Browser, demo_site: DemoSite) -> None:
    with open_tab(chromium, demo_site.address) as tab:
        sign_in(tab, demo_site, "sven")
        assert tab.page.get_by_role("heading", level=1).is_visible()


def test_the_keyboard_reaches_the_content_first(chromium: Browser, demo_site: DemoSite) -> None:
    with open_tab(chromium, demo_site.address) as tab:
        sign_in(tab, demo_site, "ada")
        tab.page.keyboard.press("Tab")
        assert tab.page.evaluate("document.activeElement.textContent") == "Skip to the content"
        tab.page.keyboard.press("Enter")
        assert tab.page.evaluate("document.activeElement.id") == "content"


def test_the_navigation_leads_to_every_entry(administrator: Tab) -> None:
    administrator.open("/")
    for entry in ENTRIES:
        administrator.page.get_by_role("navigation").get_by_role("link", name=entry.title, exact=True).click()
        assert administrator.page.get_by_role("heading", level=1).is_visible()
        assert administrator.page.locator("nav.navigation a[aria-current]").inner_text() == entry.title
