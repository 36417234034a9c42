"""`regulars organization`: what holds for an organization's reports."""

import pytest

from cli.conftest import Command


def line(command: Command, slug: str) -> list[str]:
    """What the list says of an organization after its name."""
    (found,) = (line for line in command("organization", "list").out.splitlines() if f" The {slug} " in f"{line} ")
    return found.split(f"The {slug}")[1].split()


def test_settings_are_listed_set_and_given_back(command: Command, slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_GENERAL_REFILL", "7")
    assert line(command, slug) == ["(200000)", "(7)", "(1000)", "(50)"]
    done = command("organization", "set", f"The {slug}", "--smallest-cell", "5", "--reporting-capacity", "4000")
    assert (done.code, done.out) == (0, f"The {slug}: smallest cell 5, reporting capacity 4000.\n")
    assert line(command, slug) == ["5", "(200000)", "(7)", "4000", "(50)"]
    done = command("organization", "set", f"The {slug}", "--smallest-cell", "0", "--reporting-capacity", "0")
    assert (done.code, done.out) == (0, f"The {slug}: smallest cell as usual, reporting capacity as usual.\n")
    assert line(command, slug) == ["(200000)", "(7)", "(1000)", "(50)"]
