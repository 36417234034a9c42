"""Browsers and servers of the tests of pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from dashboard.browsers import run_chromium


@dataclass(frozen=True)
class DemoSite:
    """The address of a running demo, and the password of each of its people."""

    address: str
    passwords: dict[str, str]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for a module of synchronous tests: while it runs, no other event loop runs in this thread."""
    with run_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    """A running demo. REGULARS_DEMO_LOG is the output of one that runs already, for work on the pages."""
    if running := os.environ.get("REGULARS_DEMO_LOG"):
        yield _parse(Path(running).read_text())
        return
    data = tmp_path_factory.mktemp("demo") / "data"
    command = [
        str(Path(sys.executable).parent / "regulars"),
        "demo",
        "--size",
        "tiny",
        "--port",
        "0",
        "--data-dir",
        str(data),
    ]
    log = data.parent / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            introduction = ""
            for line in process.stdout:
                introduction += line
                if "Ctrl-C" in line:
                    break
            yield _parse(introduction)
        finally:
            psutil.Process(process.pid).terminate()
            process.communicate(timeout=60)


def _parse(introduction: str) -> DemoSite:
    address = re.search(r"^Open (\S+) in a browser", introduction, re.MULTILINE)
    assert address is not None, introduction
    return DemoSite(address[1], dict(re.findall(r"^  (\w+)@demo\.example +(\S+)", introduction, re.MULTILINE)))
