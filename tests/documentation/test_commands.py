"""The commands of README and docs: those about the demo run against it, in order; all others are at least valid."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from demo_sites import DemoSite
from documentation.command_server import run_command_server
from documentation.pages import PAGES, ROOT, console_commands
from regulars.cli import app

pytestmark = pytest.mark.timeout(900)

COMMANDS = [(page, command) for page in PAGES for command in console_commands(page)]
BIN = Path(sys.executable).parent

RUN_ON_THE_DEMO = (
    "getting-started.md",
    "demo.md",
    "README.md",
    "installation.md",
    "access.md",
    "geo.md",
    "reporting.md",
    "exports.md",
    "webhooks.md",
    "segments.md",
)
"""Pages whose commands run one after the other, as their reader would type them beside `make demo`."""

SET_UP = re.compile(r"(make|python3 -m venv|venv/bin/|regulars serve|regulars community create)\b")
"""Commands that install or start what the fixtures have already."""


def regulars_arguments(command: str) -> Iterator[list[str]]:
    """The arguments of each call of `regulars` in a command line."""
    for call in re.findall(r"(?:^|\$\(|\| |&& )regulars (.*?)(?:\)$| \| | < .*$| > .*$| &$|$)", command, re.DOTALL):
        if "[OPTIONS]" not in call:  # a synopsis
            yield shlex.split(call.replace("\\\n", " "))


@pytest.mark.parametrize(
    "arguments",
    [each for _, command in COMMANDS for each in regulars_arguments(command)],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_commands_are_valid(arguments: list[str]) -> None:
    if arguments != ["--version"]:
        app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_the_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {match for _, command in COMMANDS for match in re.findall(r"^make ([a-z-]+)", command)}
    assert used
    assert used <= targets


@pytest.fixture(scope="module")
def command_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of `regulars`: of the installed one in a long run, otherwise of one whose commands start sooner."""
    if request.config.getoption("--long"):
        yield BIN
        return
    with (
        # A socket's path is short.
        tempfile.TemporaryDirectory(prefix="regulars-test-") as folder,
        run_command_server(Path(folder)) as commands,
    ):
        yield commands


@pytest.fixture(scope="module")
def demo(demo_site: DemoSite, command_folder: Path) -> Mapping[str, str]:
    """The environment of a shell beside `regulars demo`, with the lines that it says to paste."""
    path = f"{command_folder}:{BIN}:{os.environ['PATH']}"
    return {**os.environ, **demo_site.variables, "PATH": path}


def shell(command: str, environment: Mapping[str, str], folder: Path) -> tuple[str, Mapping[str, str]]:
    """Runs a command line in a shell; its output, and the environment with what it exported."""
    script = f"set -euo pipefail\n{command}\necho; echo ENVIRONMENT; env -0"
    done = subprocess.run(["bash", "-c", script], env=dict(environment), capture_output=True, cwd=folder, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout.decode()}{done.stderr.decode()}"
    output, _, exported = done.stdout.decode().rpartition("\nENVIRONMENT\n")
    return output, dict(each.split("=", 1) for each in exported.split("\0") if "=" in each)


@pytest.mark.parametrize("name", RUN_ON_THE_DEMO)
def test_the_commands_of_a_page_run_as_they_are_written(
    name: str, demo: Mapping[str, str], club: None, tmp_path: Path
) -> None:
    page = ROOT / name if name == "README.md" else ROOT / "docs" / name
    environment: Mapping[str, str] = demo
    commands = [each for each in console_commands(page) if not SET_UP.match(each)]
    assert commands
    for command in commands:
        output, environment = shell(
            command.replace("localhost:8080", demo["SERVER"].removeprefix("http://")), environment, tmp_path
        )
        assert not re.search(r'"(error|message)":(?!null)', output), f"{command}\n{output}"


@pytest.fixture(scope="module")
def club(demo: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The club that pages other than those about the demo call `club`."""
    create = next(each for each in console_commands(ROOT / "docs" / "installation.md") if "community create" in each)
    shell(create, demo, tmp_path_factory.mktemp("club"))
