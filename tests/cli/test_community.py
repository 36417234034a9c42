"""`regulars community set`: which identities members may write, and which statuses are void."""

import pytest

from cli.conftest import Command


def listed_handles(command: Command, slug: str) -> str:
    (line,) = (line for line in command("community", "list").out.splitlines() if slug in line.split())
    return line.split("NOK")[1].strip()


def test_handles_of_members_are_set_and_listed(command: Command, slug: str) -> None:
    assert listed_handles(command, slug) == "any handle that is not reserved"
    done = command("community", "set", slug, "--member-handle", "card", "--member-handle", "app")
    assert (done.code, done.out) == (0, f"{slug}: members may write app, card.\n")
    assert listed_handles(command, slug) == "app, card"
    assert command("community", "set", slug, "--no-member-handles").code == 0
    assert listed_handles(command, slug) == "no identities"
    assert command("community", "set", slug, "--any-member-handle").code == 0
    assert listed_handles(command, slug) == "any handle that is not reserved"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Use one of"),
        (["--no-member-handles", "--any-member-handle"], "Use one of"),
        (["--member-handle", "E-Mail", "--member-handle", " EMAIL"], "' EMAIL' is reserved"),
        (["--member-handle", ""], "must not be empty"),
    ],
)
def test_invalid_handles_are_rejected(command: Command, slug: str, options: list[str], message: str) -> None:
    done = command("community", "set", slug, *options)
    assert done.code != 0
    assert message in done.err
    assert listed_handles(command, slug) == "any handle that is not reserved"


def test_an_unknown_community_is_rejected(command: Command, on_the_server: None) -> None:
    done = command("community", "set", "nowhere", "--no-member-handles")
    assert done.code != 0
    assert "There is no community 'nowhere'" in done.err


def test_void_statuses_are_set(command: Command, slug: str) -> None:
    done = command("community", "set", slug, "--void-status", "Cancelled", "--void-status", "refused")
    assert (done.code, done.out) == (
        0,
        f"{slug}: transactions are void with Cancelled, refused. Changed: 0 transactions.\n",
    )
    done = command("community", "set", slug, "--no-void-statuses", "--any-member-handle")
    assert (done.code, done.out.splitlines()[1]) == (
        0,
        f"{slug}: transactions are void with no status. Changed: 0 transactions.",
    )
    done = command("community", "set", slug, "--no-provider-statuses")
    assert done.out == f"{slug}: providers do not set the statuses of members.\n"
    assert "--void-status must be at most 50 texts" in command("community", "set", slug, "--void-status", "").err
