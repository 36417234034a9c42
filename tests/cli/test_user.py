"""`regulars user`: people who sign in, from the shell."""

from __future__ import annotations

import pytest

from cli.conftest import Command


def test_a_user_is_created_listed_given_a_password_and_deactivated(command: Command, slug: str) -> None:
    organization, email = ("--organization", f"The {slug}"), ("--email", f"ada@{slug}.example")
    created = command("user", "create", *organization, *email, "--name", "Ada", "--role", "marketer")
    assert (created.code, created.err.startswith("Store this password now.")) == (0, True)
    line = command("user", "list", *organization).out.splitlines()[1]
    assert line.split() == [f"ada@{slug}.example", "Ada", "Marketer", "never", "active"]
    changed = command("user", "reset-password", *email)
    assert changed.code == 0
    assert changed.out.strip() not in ("", created.out.strip())
    assert command("user", "deactivate", *email).out == f"ada@{slug}.example is deactivated.\n"
    assert command("user", "list", *organization).out.splitlines()[1].endswith("deactivated")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("create", "--organization", "The {slug}", "--email", "ada"),
            "--email 'ada' is not an e-mail address. Example: ada@shop.example.",
        ),
        (
            ("create", "--organization", "The {slug}", "--email", "taken@{slug}.example"),
            "--email taken@{slug}.example is the address of another user.",
        ),
        (
            ("create", "--organization", "The {slug}", "--email", "ada@{slug}.example", "--role", "Boss"),
            "Role 'Boss' not found. Allowed: Administrator, Analyst, Marketer.",
        ),
        (
            ("list", "--organization", "Unknown"),
            (
                "Organization 'Unknown' not found. `regulars organization list` shows the names; "
                "`regulars community create` creates one with its first community."
            ),
        ),
        (
            ("reset-password", "--email", "unknown@{slug}.example"),
            "User 'unknown@{slug}.example' not found. `regulars user list` shows the users of an organization.",
        ),
        (("deactivate", "--email", "ada"), "--email 'ada' is not an e-mail address. Example: ada@shop.example."),
    ],
)
def test_invalid_options_are_named(command: Command, slug: str, arguments: tuple[str, ...], message: str) -> None:
    taken = ("user", "create", "--organization", f"The {slug}", "--email", f"taken@{slug}.example")
    assert command(*taken).code == 0
    done = command("user", *(each.format(slug=slug) for each in arguments))
    assert (done.code, done.err) == (2, f"regulars: {message.format(slug=slug)}\n")
