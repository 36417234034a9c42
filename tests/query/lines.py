"""Fixtures of one line a case: parts in JSON or SQL with bars between them, written by the tests that read them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
RENEW = "REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query"
_BAR = " | "


def renewing() -> bool:
    """Whether the run writes down what it finds."""
    return bool(os.environ.get("REGULARS_RENEW_GOLDEN"))


def cases(name: str) -> list[str]:
    """The lines of a file."""
    return (HERE / name).read_text().splitlines()


def asked(line: str) -> str:
    """The part of a line that is asked; a line may hold nothing else yet."""
    return line.split(_BAR)[0]


def compared(name: str, answer: Callable[[str], tuple[str, ...]]) -> None:
    """Holds every line of a file to what is answered to its first part."""
    lines = cases(name)
    found = [_BAR.join((asked(line), *answer(asked(line)))) for line in lines]
    if renewing():
        (HERE / name).write_text("".join(f"{line}\n" for line in found))
        return
    for line, now in zip(lines, found, strict=True):
        assert now == line, f"{name} says otherwise. If that was meant, look at the difference after: {RENEW}"
