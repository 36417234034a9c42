"""`regulars community set`: which identities members may write."""

import pytest

from cli.conftest import Command


def shown(command: Command, slug: str) -> str:
    """What the list says of members' handles in a community."""
    (line,) = (line for line in command("community", "list").out.splitlines() if slug in line.split())
    return line.split("NOK")[1].strip()


def test_handles_of_members_are_set_and_listed(command: Command, slug: str) -> None:
    assert shown(command, slug) == "any but reserved"
    done = command("community", "set", slug, "--member-handle", "card", "--member-handle", "app")
    assert (done.code, done.out) == (0, f"{slug}: members write app, card.\n")
    assert shown(command, slug) == "app, card"
    assert command("community", "set", slug, "--no-member-handles").code == 0
    assert shown(command, slug) == "none"
    assert command("community", "set", slug, "--any-member-handle").code == 0
    assert shown(command, slug) == "any but reserved"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Use one of"),
        (["--no-member-handles", "--any-member-handle"], "Use one of"),
        (["--member-handle", "E-Mail", "--member-handle", " EMAIL"], "' EMAIL' is reserved"),
        (["--member-handle", ""], "must not be empty"),
    ],
)
def test_invalid_handles_are_refused(command: Command, slug: str, words: list[str], said: str) -> None:
    done = command("community", "set", slug, *words)
    assert done.code != 0
    assert said in done.err
    assert shown(command, slug) == "any but reserved"


def test_an_unknown_community_is_refused(command: Command, on_the_server: None) -> None:
    done = command("community", "set", "nowhere", "--no-member-handles")
    assert done.code != 0
    assert "There is no community 'nowhere'" in done.err
