"""`regulars provider`: setup, list and removal; keys are read from standard input and never shown."""

from __future__ import annotations

import getpass
import hashlib
import io

import pytest

from cli.conftest import Command, CommandResult
from ingest.provider_client import AUTH_TOKEN, SIGNING_KEY, TOPIC, verification_key


@pytest.fixture
def set_up(command: Command, slug: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Sets up a provider with keys, its name and other options."""

    def run(keys: str, *words: str) -> CommandResult:
        monkeypatch.setattr("sys.stdin", io.StringIO(keys))
        return command("provider", "set", *words, "--community", slug)

    return run


def digest(key: str) -> str:
    """The form in which a key is listed."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def test_providers_are_set_up_listed_and_removed(command: Command, slug: str, set_up: Command) -> None:
    for name, key in (("ses", TOPIC), ("sendgrid", verification_key()), ("mailgun", SIGNING_KEY)):
        done = set_up(f"{key}\n", name)
        assert (done.code, done.err) == (0, "")
        assert done.out.endswith(
            f" is set up for {slug} with 1 key: configure /v1/communities/{slug}/providers/{name} as its webhook.\n"
        )
    options = ["--sending-field", "campaign", "--profile-field", "member", "--dispatch-field", "mail"]
    set_up(f"{AUTH_TOKEN}\n\n other-{AUTH_TOKEN}\n{AUTH_TOKEN}", "twilio", *options, "--url", "https://h.example/t")
    listed = command("provider", "list", "--community", slug)
    rows = [line.split() for line in listed.out.splitlines()[1:]]
    assert [row[:3] for row in rows] == [
        [slug, "mailgun", digest(SIGNING_KEY)],
        [slug, "sendgrid", digest(verification_key())],
        [slug, "ses", digest(TOPIC)],
        [slug, "twilio", digest(AUTH_TOKEN)],
    ]
    assert rows[0][3:7] == [
        *("regulars_sending", "regulars_profile", "regulars_dispatch"),
        f"/v1/communities/{slug}/providers/mailgun",
    ]
    assert rows[3][3:8] == [digest(f"other-{AUTH_TOKEN}"), "campaign", "member", "mail", "https://h.example/t"]
    assert not any(key in listed.out for key in (SIGNING_KEY, AUTH_TOKEN, verification_key(), TOPIC))
    assert slug in command("provider", "list").out

    done = command("provider", "remove", "mailgun", "--community", slug)
    assert (done.code, done.out) == (0, f"Mailgun is removed from {slug}.\n")
    assert "mailgun" not in command("provider", "list", "--community", slug).out
    done = command("provider", "remove", "mailgun", "--community", slug)
    assert (done.code, done.err) == (
        2,
        f"regulars: Mailgun is not set up for {slug}. `regulars provider list` shows the providers.\n",
    )


def test_a_second_setup_replaces_the_first(command: Command, slug: str, set_up: Command) -> None:
    set_up(SIGNING_KEY, "mailgun", "--sending-field", "campaign")
    set_up(f"new-{SIGNING_KEY}", "mailgun")
    (line,) = command("provider", "list", "--community", slug).out.splitlines()[1:]
    assert line.split()[2:4] == [digest(f"new-{SIGNING_KEY}"), "regulars_sending"]


def test_the_key_is_read_with_a_prompt_on_a_terminal(
    command: Command, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    prompts: list[str] = []

    def read_key(prompt: str) -> str:
        prompts.append(prompt)
        return SIGNING_KEY

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", read_key)
    assert command("provider", "set", "mailgun", "--community", slug).code == 0
    assert prompts == ["Mailgun, the HTTP webhook signing key: "]


def test_keys_that_can_not_be_read_are_rejected(command: Command, slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def end_of_input(prompt: str) -> str:
        raise EOFError

    words = ["provider", "set", "mailgun", "--community", slug]
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", end_of_input)
    done = command(*words)
    assert (done.code, "No key on standard input." in done.err) == (2, True)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    done = command(*words)
    assert (done.code, done.err) == (2, "regulars: The keys on standard input are not text in UTF-8.\n")


@pytest.mark.parametrize(
    ("keys", "options", "message"),
    [
        ("", ["mailgun"], "No key on standard input. Mailgun needs the HTTP webhook signing key."),
        ("\n \n", ["mailgun"], "No key on standard input. Mailgun needs the HTTP webhook signing key."),
        ("short", ["mailgun"], "The key must be the HTTP webhook signing key, as Mailgun shows it."),
        ("mail", ["ses"], "The key must be the ARN of the topic: arn:aws:sns:REGION:ACCOUNT:NAME."),
        (
            SIGNING_KEY,
            ["sendgrid"],
            "The key must be the verification key of the Event Webhook, as SendGrid shows it.",
        ),
        (SIGNING_KEY, ["postmark"], "Unknown provider 'postmark'. Allowed: ses, sendgrid, mailgun, twilio."),
        (
            SIGNING_KEY,
            ["mailgun", "--sending-field", ""],
            "--sending-field must have 1 to 100 printable characters.",
        ),
        (
            AUTH_TOKEN,
            ["twilio", "--url", "hooks.example"],
            "--url must be an address that starts with https:// or http://.",
        ),
        (
            AUTH_TOKEN,
            ["twilio", "--url", "https://hooks.example/?a=1"],
            "--url must not have a query. The query that Twilio adds is checked separately.",
        ),
    ],
)
def test_invalid_setups_are_rejected(set_up: Command, keys: str, options: list[str], message: str) -> None:
    done = set_up(keys, *options)
    assert (done.code, done.err) == (2, f"regulars: {message}\n")


def test_an_unknown_community_or_provider_is_rejected(command: Command, slug: str) -> None:
    for words in (["list"], ["remove", "mailgun"]):
        done = command("provider", *words, "--community", "nowhere")
        assert (done.code, done.err.startswith("regulars: There is no community 'nowhere'")) == (2, True)
    assert "Unknown provider 'postmark'" in command("provider", "remove", "postmark", "--community", slug).err
