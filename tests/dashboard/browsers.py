"""Chromium as people use it: it notes what it should not see, and every page is looked at in the same way."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

OUTPUT = Path(__file__).parent.parent.parent / "build" / "screenshots"
"""Where screenshots of a run are stored."""

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


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """Starts the system's Chromium; without one the tests are skipped, and fail in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing. .ci/run installs it.")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page of the browser. `problems` are errors on its console, and requests that left the server's own address."""

    page: Page
    base: str
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"{self.page.url}: {error}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser notes the status of the page itself as an error too; tests compare it where it matters.
        is_status = "Failed to load resource" in message.text and message.location.get("url") == self.page.url
        if message.type in ("error", "warning") and not is_status:
            self.problems.append(f"{self.page.url}: {message.text}")

    def _on_request(self, request: Request) -> None:
        target = urlsplit(request.url)
        if target.scheme not in ("data", "blob", "about") and target.netloc != urlsplit(self.base).netloc:
            self.problems.append(f"{self.page.url} requests {request.url}")

    def open(self, path: str) -> int:
        """Opens a page and waits until nothing is loaded any more; returns its status."""
        response = self.page.goto(self.base + path, wait_until="networkidle")
        assert response is not None
        return response.status

    def sign_in(self, email: str, password: str) -> None:
        """Signs in as a person would."""
        self.open("/sign-in")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)

    def accessibility_findings(self) -> list[str]:
        """Serious and critical findings of axe-core on this page."""
        self.page.evaluate(_AXE)
        found: list[str] = self.page.evaluate(_RUN_AXE)
        return found

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide: int = self.page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        return wide

    def save_screenshots(self, name: str) -> None:
        """Stores the page as it is at 375 and 1440 pixels, light and dark; no width may need to be scrolled sideways."""
        OUTPUT.mkdir(parents=True, exist_ok=True)
        clean = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "overview"
        for width in (375, 1440):
            self.page.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                self.page.screenshot(path=OUTPUT / f"{clean}-{width}-{scheme}.png", full_page=True)
            assert self.overflow() <= 0, f"{name} at {width} pixels"
        self.page.emulate_media(color_scheme="light")


@contextmanager
def open_tab(browser: Browser, base: str, **options: Any) -> Iterator[Tab]:
    """A tab of a new browser profile. Fails if it saw a problem."""
    context: BrowserContext = browser.new_context(
        viewport={"width": 1440, "height": 900},
        locale="en-GB",
        timezone_id="Europe/Oslo",
        reduced_motion="reduce",
        **options,
    )
    context.set_default_timeout(15_000)
    tab = Tab(context.new_page(), base)
    try:
        yield tab
    finally:
        context.close()
    assert tab.problems == []
