"""The pages of the documentation, their console blocks and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "bench").glob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
    ]
)
_CONSOLE = re.compile(r"^```console[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def console_commands(page: Path) -> list[str]:
    """The commands of a page's console blocks, in order, each with its continuation lines and without its prompt."""
    return [command for block in _CONSOLE.findall(page.read_text()) for command in _commands(block)]


def _commands(block: str) -> Iterator[str]:
    command: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield "\n".join(command)
            command = [line.removeprefix("$ ")]
        elif command and _continues("\n".join(command)):
            command.append(line)
    if command:
        yield "\n".join(command)


def _continues(command: str) -> bool:
    """Whether the shell reads on: after a backslash, or within quotes."""
    return command.endswith("\\") or command.count("'") % 2 == 1
