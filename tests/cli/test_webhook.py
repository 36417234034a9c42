"""`regulars webhook`: webhooks and deliveries are listed, sent again and tested."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg
import pytest

from cli.conftest import Command

INSERT_WEBHOOK = """
INSERT INTO webhooks (community_id, trigger, url, secret, is_active, disabled_at, disabled_reason, created_at, updated_at)
SELECT id, 'profile.*', %s, 'secret', %s, %s, %s, now(), now() FROM communities WHERE slug = %s
RETURNING id
"""

INSERT_DELIVERY = """
INSERT INTO webhook_deliveries (
    community_id, webhook_id, event_id, event_type, occurred_at, ordering_key, body, status, created_at
)
SELECT id, %s, gen_random_uuid(), 'profile.created', '2026-11-01', gen_random_uuid(), '{}', 'delivered', now()
FROM communities WHERE slug = %s
RETURNING id
"""


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """A receiver."""
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Rows:
    """Stores rows of a community as the owner of the tables."""

    def __init__(self, owner_url: str, slug: str) -> None:
        self.owner_url = owner_url
        self.slug = slug

    def insert(self, statement: str, *values: object) -> str:
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            found = connection.execute("SELECT id FROM communities WHERE slug = %s", [self.slug]).fetchone()
            assert found is not None
            connection.execute("SELECT set_config('regulars.community_id', %s, false)", [str(found[0])])
            row = connection.execute(statement.encode(), [*values, self.slug]).fetchone()
            assert row is not None
            return str(row[0])


@pytest.fixture
def rows(command_urls: tuple[str, str], slug: str) -> Rows:
    return Rows(command_urls[0], slug)


def test_webhooks_are_listed_with_their_state(command: Command, slug: str, rows: Rows) -> None:
    active = rows.insert(INSERT_WEBHOOK, "https://a.example", True, None, None)
    inactive = rows.insert(INSERT_WEBHOOK, "https://b.example", False, None, None)
    disabled = rows.insert(INSERT_WEBHOOK, "https://c.example", False, "2026-11-01", "It failed.")
    listed = command("webhook", "list", "--community", slug).out.splitlines()[1:]
    assert [line.split()[1] for line in listed] == [active, inactive, disabled]
    assert ["  active" in listed[0], "  inactive" in listed[1]] == [True, True]
    assert "disabled 2026-11-01 00:00:00" in listed[2]
    assert "It failed." in listed[2]
    assert disabled in command("webhook", "list").out
    noted = command("doctor").out
    assert f"note: Webhook {disabled} of {slug} is disabled since 2026-11-01 00:00:00: It failed." in noted


def test_deliveries_are_listed_and_sent_again(command: Command, slug: str, rows: Rows) -> None:
    webhook = rows.insert(INSERT_WEBHOOK, "https://a.example", True, None, None)
    first, second = (rows.insert(INSERT_DELIVERY, webhook) for _ in range(2))
    of_club = ("--community", slug)
    listed = command("webhook", "deliveries", webhook, *of_club).out.splitlines()[1:]
    assert [line.split()[0] for line in listed] == [second, first]
    again = command("webhook", "resend", webhook, *of_club, "--delivery", first)
    assert (again.code, again.out) == (0, "1 delivery is due again. The running server sends them.\n")
    pending = command("webhook", "deliveries", webhook, *of_club, "--status", "pending").out.splitlines()[1:]
    assert [line.split()[0] for line in pending] == [first]
    again = command("webhook", "resend", webhook, *of_club, "--from", "2026-11-01", "--to", "2026-11-02")
    assert again.out.startswith("2 deliveries are due again.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Name either --delivery, or --from, --to or --status."),
        (["--delivery", "1", "--from", "2026-11-01"], "Name either"),
        (["--status", "lost"], 'Invalid value "lost" for --status'),
        (["--from", "yesterday"], "--from is 'yesterday'. It must be a time"),
        (["--status", "failed", "--to", "2026-13-01"], "--to is '2026-13-01'. It must be a time"),
        (["--delivery", "1"], "There is no webhook delivery 1."),
        (["--delivery", "99999999999999999999"], "for --delivery. Must be <"),
    ],
)
def test_an_invalid_selection_is_an_error(
    command: Command, slug: str, rows: Rows, options: list[str], message: str
) -> None:
    webhook = rows.insert(INSERT_WEBHOOK, "https://a.example", True, None, None)
    done = command("webhook", "resend", webhook, "--community", slug, *options)
    assert done.code == 2
    assert message in done.err


def test_an_unknown_status_of_deliveries_is_an_error(command: Command, slug: str) -> None:
    done = command("webhook", "deliveries", "1", "--community", slug, "--status", "lost")
    assert (done.code, 'Invalid value "lost" for --status' in done.err) == (2, True)


def test_nothing_is_sent_to_an_inactive_webhook(command: Command, slug: str, rows: Rows) -> None:
    webhook = rows.insert(INSERT_WEBHOOK, "https://a.example", False, None, None)
    done = command("webhook", "resend", webhook, "--community", slug, "--from", "2026-11-01")
    assert done.code == 1
    assert done.err.startswith("regulars: is_active: is false, and nothing is sent to an inactive webhook.")


def test_a_test_event_is_sent(
    command: Command, slug: str, rows: Rows, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = rows.insert(INSERT_WEBHOOK, url, True, None, None)
    rejected = command("webhook", "test", webhook, "--community", slug)
    assert (rejected.code, rejected.out) == (1, "Not delivered: 127.0.0.1 has no public address.\n")
    monkeypatch.setenv("REGULARS_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")
    sent = command("webhook", "test", webhook, "--community", slug)
    assert sent.code == 0
    assert sent.out.startswith("Delivered: status 204 after")
    monkeypatch.setenv("REGULARS_WEBHOOK_ALLOWED_NETWORKS", "local")
    invalid = command("webhook", "test", webhook, "--community", slug)
    assert (invalid.code, "webhook_allowed_networks is 'local'" in invalid.err) == (2, True)
