"""Files with one case a line: input and expected output, separated by bars and written by the tests that read them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
RENEW_COMMAND = "REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query"
_BAR = " | "


def is_renewing() -> bool:
    """Whether this run updates the files."""
    return bool(os.environ.get("REGULARS_RENEW_GOLDEN"))


def read_lines(name: str) -> list[str]:
    """The lines of a file."""
    return (HERE / name).read_text().splitlines()


def case_input(line: str) -> str:
    """The input of a case; a new line has nothing else yet."""
    return line.split(_BAR)[0]


def check_cases(name: str, answer: Callable[[str], tuple[str, ...]]) -> None:
    """Compares every line of a file with the output for its input."""
    lines = read_lines(name)
    found = [_BAR.join((case_input(line), *answer(case_input(line)))) for line in lines]
    if is_renewing():
        (HERE / name).write_text("".join(f"{line}\n" for line in found))
        return
    for line, now in zip(lines, found, strict=True):
        assert now == line, f"{name} differs. If that is intended, review the diff after: {RENEW_COMMAND}"
