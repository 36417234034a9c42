"""Chromium as people use it: it notes what it should not see, and every page is looked at in the same way."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Error, Locator, Page, Request, sync_playwright

OUTPUT = Path(__file__).parent.parent.parent.parent / "build" / "screenshots"
"""Where screenshots of a long run are stored."""

_AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()

# Rules of WCAG 2.2 AA and below; others are advice.
_RUN_AXE = """async () => {
  const found = await axe.run(document, {
    runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    resultTypes: ["violations"],
  });
  return found.violations
    .filter((each) => each.impact === "serious" || each.impact === "critical")
    .map((each) => `${each.id}: ${each.help}: ${each.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
}"""


_IDLE = "() => document.fonts.ready.then(() => new Promise((resolve) => requestIdleCallback(resolve)))"

WIDTH, HEIGHT = 1440, 900
"""The size of the window while no screenshots are taken, in pixels."""

SCREENS = ((375, "light"), (375, "dark"), (1440, "light"), (1440, "dark"))
"""The widths in pixels and colour schemes in which pages are looked at."""

_COOKIE = "regulars_session"


@contextmanager
def run_chromium() -> Iterator[Page]:
    """Starts the system's Chromium with one page; without one the tests are skipped, and fail in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing. .ci/run installs it.")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = browser.new_context(locale="en-GB", timezone_id="Europe/Oslo", reduced_motion="reduce")
        context.set_default_timeout(15_000)
        yield context.new_page()
        browser.close()


@dataclass
class Tab:
    """A visit of a site. `problems` are errors on its console, and requests that left the server's own address.

    `screenshots` is the folder for pictures of what is looked at; None stores none.
    """

    page: Page
    base: str
    screenshots: Path | None = None
    problems: list[str] = field(default_factory=list)
    _loading: set[Request] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._listeners: dict[str, Callable[[Any], None]] = {
            "console": self._on_console,
            "pageerror": self._on_error,
            "request": self._on_request,
            "requestfinished": self._on_request_end,
            "requestfailed": self._on_request_end,
        }
        for event, listener in self._listeners.items():
            self.page.on(event, listener)  # type: ignore[call-overload]

    def close(self) -> None:
        """Ends the visit; the page stays."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser notes the status of the page itself as an error too; tests compare it where it matters.
        is_status = "Failed to load resource" in message.text and message.location.get("url") == self.page.url
        if message.type in ("error", "warning") and not is_status:
            self.problems.append(f"{self.page.url}: {message.text}")

    def _on_error(self, error: Error) -> None:
        self.problems.append(f"{self.page.url}: {error}")

    def _on_request(self, request: Request) -> None:
        self._loading.add(request)
        target = urlsplit(request.url)
        if target.scheme not in ("data", "blob", "about") and target.netloc != urlsplit(self.base).netloc:
            self.problems.append(f"{self.page.url} requests {request.url}")

    def _on_request_end(self, request: Request) -> None:
        self._loading.discard(request)

    def open(self, path: str) -> int:
        """Opens a page and waits until all is loaded; returns its status."""
        response = self.page.goto(self.base + path)
        assert response is not None
        self._wait_until_loaded()
        return response.status

    def follow(self, link: Locator) -> int:
        """Clicks a link to another page and waits until all is loaded; returns its status."""
        with self.page.expect_navigation() as navigation:
            link.click()
        response = navigation.value
        assert response is not None
        self._wait_until_loaded()
        return response.status

    def _wait_until_loaded(self) -> None:
        """Waits for requests of scripts, and until what they have brought is drawn."""
        self.page.evaluate(_IDLE)
        while self._loading:
            self.page.evaluate(_IDLE)

    def sign_in(self, email: str, password: str) -> None:
        """Signs in as a person would."""
        self.open("/sign-in")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)

    @property
    def session(self) -> str:
        """The cookie of the person who has signed in."""
        (found,) = (each["value"] for each in self.page.context.cookies() if each["name"] == _COOKIE)
        return found

    @session.setter
    def session(self, value: str) -> None:
        self.page.context.add_cookies([{"name": _COOKIE, "value": value, "url": self.base}])

    def accessibility_findings(self) -> list[str]:
        """Serious and critical findings of axe-core on this page."""
        self.page.evaluate(_AXE)
        found: list[str] = self.page.evaluate(_RUN_AXE)
        return found

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide: int = self.page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        return wide

    def look_at(self, name: str, screens: Sequence[tuple[int, str]] = SCREENS) -> None:
        """Sees the page as it is at each width and in each scheme; no width may need to be scrolled sideways."""
        for width, scheme in screens:
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if self.screenshots is not None:
                clean = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "overview"
                self.page.screenshot(path=self.screenshots / f"{clean}-{width}-{scheme}.png", full_page=True)
            assert self.overflow() <= 0, f"{name} at {width} pixels"
        self._reset_screen()

    def _reset_screen(self) -> None:
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        self.page.emulate_media(color_scheme="light")


@contextmanager
def open_tab(page: Page, base: str, screenshots: Path | None = None) -> Iterator[Tab]:
    """A visit of a site by a person who has not signed in. Fails if it saw a problem."""
    page.context.clear_cookies()
    tab = Tab(page, base, screenshots)
    tab._reset_screen()
    try:
        yield tab
    finally:
        tab.close()
    assert tab.problems == []
