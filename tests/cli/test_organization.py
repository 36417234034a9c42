"""`regulars organization`: the limits of an organization."""

import pytest

from cli.conftest import Command


def listed_limits(command: Command, slug: str) -> list[str]:
    (line,) = (line for line in command("organization", "list").out.splitlines() if f" The {slug} " in f"{line} ")
    return line.split(f"The {slug}")[1].split()


def test_limits_are_listed_set_and_reset_to_their_defaults(
    command: Command, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_GENERAL_RATE_PER_SECOND", "7")
    assert listed_limits(command, slug) == ["(200000)", "(7)", "(1000)", "(50)"]
    result = command("organization", "set", f"The {slug}", "--min-cell-size", "5", "--reporting-burst", "4000")
    assert (result.code, result.out) == (0, f"The {slug}: min cell size 5, reporting burst 4000.\n")
    assert listed_limits(command, slug) == ["5", "(200000)", "(7)", "4000", "(50)"]
    result = command("organization", "set", f"The {slug}", "--min-cell-size", "0", "--reporting-burst", "0")
    assert (result.code, result.out) == (0, f"The {slug}: min cell size (default), reporting burst (default).\n")
    assert listed_limits(command, slug) == ["(200000)", "(7)", "(1000)", "(50)"]
