"""One window of Chromium for the tests of this folder, which are synchronous: no event loop may run beside Playwright's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page

from dashboard.in_chromium.tabs import OUTPUT, Tab, open_tab, run_chromium
from demo_sites import DemoSite

_FOLDER = Path(__file__).parent
_chromium = ExitStack()
_windows: list[Page] = []


@pytest.fixture
def window() -> Page:
    """The page that every test navigates: a new one costs more than most tests."""
    if not _windows:
        _windows.append(_chromium.enter_context(run_chromium()))
    return _windows[0]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Closes the window before asynchronous tests, which would find Playwright's event loop running."""
    if nextitem is None or not nextitem.path.is_relative_to(_FOLDER):
        _windows.clear()
        _chromium.close()


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """The folder of screenshots if the run is long: they cost more than all else that a browser does."""
    if not request.config.getoption("--long"):
        return None
    OUTPUT.mkdir(parents=True, exist_ok=True)
    return OUTPUT


@pytest.fixture
def visitor(window: Page, demo_site: DemoSite, screenshots: Path | None) -> Iterator[Tab]:
    """A person at the demo who has not signed in."""
    with open_tab(window, demo_site.address, screenshots) as tab:
        yield tab


@pytest.fixture(scope="session")
def sessions() -> dict[str, str]:
    """The cookies of the people of the demo who have signed in."""
    return {}


def _sign_in(tab: Tab, demo: DemoSite, sessions: dict[str, str], person: str) -> Tab:
    if person in sessions:
        tab.session = sessions[person]
    else:
        tab.sign_in(f"{person}@demo.example", demo.passwords[person])
        sessions[person] = tab.session
    return tab


@pytest.fixture
def administrator(visitor: Tab, demo_site: DemoSite, sessions: dict[str, str]) -> Tab:
    """The administrator of the demo."""
    return _sign_in(visitor, demo_site, sessions, "ada")


@pytest.fixture
def marketer(visitor: Tab, demo_site: DemoSite, sessions: dict[str, str]) -> Tab:
    """The marketer of the demo."""
    return _sign_in(visitor, demo_site, sessions, "mari")


@pytest.fixture
def manager(visitor: Tab, demo_site: DemoSite, sessions: dict[str, str]) -> Tab:
    """The manager of a store of the demo."""
    return _sign_in(visitor, demo_site, sessions, "sven")
