"""A running `regulars demo`, which the tests of pages and of documented commands share."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

REGULARS = Path(sys.executable).parent / "regulars"


@dataclass(frozen=True)
class DemoSite:
    """A running demo: its address, the password of each of its people, and the variables that it says to export."""

    address: str
    passwords: Mapping[str, str]
    variables: Mapping[str, str]


@contextmanager
def run_demo(data: Path, size: str) -> Iterator[DemoSite]:
    """Runs a demo. REGULARS_DEMO_LOG is the output of one that runs already, for work on the pages."""
    if running := os.environ.get("REGULARS_DEMO_LOG"):
        yield _parse(Path(running).read_text(), data)
        return
    log = data.parent / "log"
    command = [str(REGULARS), "demo", "--size", size, "--port", "0", "--data-dir", str(data)]
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
            assert "Ctrl-C" in introduction, log.read_text()
            yield _parse(introduction, data)
        finally:
            psutil.Process(process.pid).terminate()
            process.communicate(timeout=60)


def _parse(introduction: str, data: Path) -> DemoSite:
    address = re.search(r"^Open (\S+) in a browser", introduction, re.MULTILINE)
    assert address is not None, introduction
    passwords = dict(re.findall(r"^  (\w+)@demo\.example +(\S+)", introduction, re.MULTILINE))
    variables = dict(re.findall(r"^  export (\w+)=(\S+)$", introduction, re.MULTILINE))
    assert set(variables) == {"SERVER", "TOKEN", "REPORTS", "MEMBER"}, introduction
    return DemoSite(address[1], passwords, {**variables, "REGULARS_DATA_DIR": str(data)})
