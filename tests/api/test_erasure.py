"""Canaries in every field of a member are found nowhere after the erasure."""

from __future__ import annotations

import inspect
import json
import logging
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog

from api.profile_calls import PROFILES_URL
from clubs import START, Club
from regulars.api.profile.members import MEMBER_PATH
from regulars.auth import tokens
from regulars.auth.tokens import NewToken
from regulars.core.public_addresses import parse_networks
from regulars.facts import maintenance, purchases
from regulars.jobs.queue import create_app
from regulars.observability import logs
from regulars.rollups import compaction, snapshots
from regulars.storage import personal_data
from regulars.verify.verify import Discrepancy, verify
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import WebhookDispatcher
from regulars.webhooks.matching import match_events
from segments.segment_client import segment_client
from webhook_receiver import http_response, receiving

TRANSACTIONS = "/api/v3/transactions"
AT = "2026-10-01 12:00:00"

_COLUMNS = """
SELECT c.relname AS table, array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
GROUP BY c.relname
"""


@asynccontextmanager
async def owned(database_urls: tuple[str, str]) -> AsyncIterator[Any]:
    """A connection of the owner, who sees the rows of all communities."""
    connection = await asyncpg.connect(database_urls[0])
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_column_of_every_table_is_declared(database_urls: tuple[str, str], club: Club) -> None:
    async with owned(database_urls) as owner:
        catalogue = {row["table"]: set(row["columns"]) for row in await owner.fetch(_COLUMNS)}
    assert catalogue.keys() == personal_data.TABLES.keys()
    for name, table in personal_data.TABLES.items():
        declared = table.columns()
        assert len(declared) == len(set(declared)), name
        assert catalogue[name] == set(declared) | (catalogue[name] if table.default_reason else set()), name
        assert not table.retained_after_purge or not table.erased_columns, name


def test_jobs_name_no_member(club: Club) -> None:
    tasks = {name: task for name, task in create_app(club.database).tasks.items() if "builtin" not in name}
    assert {name: list(inspect.signature(task.func).parameters) for name, task in tasks.items()} == {
        "take_snapshots": ["timestamp"],
    }


@dataclass
class Planted:
    """One member, and the texts that identify the member."""

    club: Club
    profile_ids: list[UUID] = field(default_factory=list)
    mark: str = field(default_factory=lambda: f"canary{secrets.token_hex(6)}")
    phone: str = field(default_factory=lambda: f"9{secrets.randbelow(10**7):07}")
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000)))

    def canary(self, name: str) -> str:
        """A text that is found nowhere else."""
        return f"{self.mark}-{name}"

    @property
    def email(self) -> str:
        """The member's address."""
        return f"{self.mark}@example.com"

    @property
    def pattern(self) -> str:
        """What all canaries fit, as text and as the bytes of a text."""
        texts = [self.mark, self.phone, *map(str, self.profile_ids)]
        return "|".join([*texts, *(text.encode().hex() for text in texts)])

    async def post(self, path: str, body: Any, status: int = 201, **headers: str) -> Any:
        """The data of an answer to a request with a key of its own."""
        sent = {"Idempotency-Key": self.canary(f"key-{next(self.numbers)}"), **headers}
        response = await self.club.http.post(path, json=body, headers=sent)
        assert response.status_code == status, response.text
        return response.json().get("data")

    async def imported(self, entity: str, *rows: dict[str, Any], rejected: int = 0) -> None:
        """Has rows imported, with a key too."""
        response = await self.club.http.post(
            f"/v1/import/{entity}",
            content=b"\n".join(json.dumps(row).encode() for row in rows),
            headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": self.canary(entity)},
        )
        assert (response.status_code, response.json()["rejected"]) == (200, rejected), response.text

    def sale(self, name: str, **fields: Any) -> dict[str, Any]:
        """A sale with a canary in each field that takes a text."""
        texts = ("external_id", "receipt_ref", "linked_receipt_ref", "order_number")
        item = {"name": "Tea", "quantity": 1, "price_current": 10, "price_sell": 9, "meta": [self.canary("item")]}
        discount = {"amount": 1, "name": self.canary("discount")}
        return {
            **{each: self.canary(f"{name}-{each}") for each in texts},
            "transacted_at": AT,
            "timezone": "UTC",
            "total": 9,
            "meta": {self.canary("meta"): self.canary("meta")},
            "tags": [self.canary("tag")],
            "payments": [{"card": self.canary("payment")}],
            "items": [
                item | {"external_id": self.canary(f"{name}-line"), "tags": [self.mark], "discounts": [discount]}
            ],
            **fields,
        }


def _profile(planted: Planted, name: str) -> dict[str, Any]:
    texts = ("external_id", "title", "first_name", "last_name")
    lists = ("tags", "statuses")
    address = (
        "address_line_1", "address_line_2", "address_line_3", "company", "city", "postcode", "notes", "external_id",
        "name", "type", "phone",
    )  # fmt: skip
    return {
        **{each: planted.canary(f"{name}-{each}") for each in texts},
        **{each: [planted.canary(each)] for each in lists},
        "custom_fields": [{"value": planted.canary("custom_fields")}],
        "properties": {planted.canary("property"): planted.canary("property")},
        "attributes": {"appearance": {"hair": planted.canary("hair")}, "comms": {"note": planted.canary("note")}},
        "birth_year": 1984,
        "gender": planted.canary("gender"),
        "profile_type": planted.canary("type"),
        "optin_channel": "web",
        "optin_subchannel": planted.canary("subchannel"),
        "consents": {"email_marketing": True},
        "identities": [{"handle": "card", "identifier": planted.canary(f"{name}-card")}],
        "addresses": [
            {each: planted.canary(f"address-{each}") for each in address}
            | {"iso": "NO", "meta": [planted.canary("address-meta")]}
        ],
    }


async def _reject_before(planted: Planted) -> None:
    """Rows that name the member before there is a profile: their answers and reasons quote it."""
    named = {"profile_id": planted.email, "profile_id_handle": "email"}
    await planted.post(f"{TRANSACTIONS}/batch.json", [planted.sale("early", **named)], 200)
    row = {"external_id": "1", "profile": planted.canary("a-external_id"), "type": "in", "at": AT}
    await planted.imported("memberships", row, rejected=1)


async def _plant_profiles(planted: Planted) -> None:
    body = _profile(planted, "a") | {"email": planted.email, "mobile_phone": f"+47{planted.phone}"}
    stored = await planted.post(PROFILES_URL, body)
    twin = await planted.post(PROFILES_URL, _profile(planted, "b"))
    planted.profile_ids = [UUID(stored["id"]), UUID(twin["id"])]
    merge = {"source_profile_id": twin["id"], "destination_profile_id": stored["id"]}
    await planted.post(f"{PROFILES_URL}/merge", merge, 200)
    at = f"{PROFILES_URL}/{stored['id']}"
    await planted.post(f"{at}/identities", {"handle": "app", "identifier": planted.canary("app")})
    claim = {
        "transaction_receipt_ref": planted.canary("claim"),
        "transaction_transacted_at": AT,
        "transaction_timezone": "UTC",
        "transaction_total": 9,
        "transaction_location_external_code": planted.canary("claim-location"),
    }
    await planted.post(f"{at}/transactions/claims", claim)
    rows = [{"email": planted.email, "title": planted.canary("batch")}, {"email": "x@y.no", "mobile_phone": "1e9"}]
    await planted.post(f"{PROFILES_URL}/batch.json", {"profiles": rows}, 200)
    await planted.post(f"{PROFILES_URL}/batch", {"profiles": rows}, 200)
    new = NewToken(
        planted.club.community.organization_id,
        planted.canary("token"),
        community_id=planted.club.community.id,
        profile_id=planted.profile_ids[0],
    )
    async with planted.club.database.unscoped_connection() as connection:
        await tokens.create(connection, new, START)
    member = await planted.post("/id/api/v1/auth/token", {"id": stored["id"]}, 200)
    bearer = {"Authorization": f"Bearer {member['token']}"}
    await planted.post(f"{MEMBER_PATH}/addresses", {"city": planted.canary("me")}, 201, **bearer)


async def _plant_purchases(planted: Planted) -> None:
    owner = {"profile_id": str(planted.profile_ids[0])}
    sale = await planted.post(TRANSACTIONS, planted.sale("one", **owner))
    item = {"name": "Tea", "quantity": 1, "price_current": 1, "price_sell": 1, "meta": [planted.canary("added")]}
    await planted.post(f"{TRANSACTIONS}/{sale['id']}/items", item)
    await planted.post(f"{TRANSACTIONS}/update-create", planted.sale("one", **owner, status="paid"), 200)
    unowned = await planted.post(TRANSACTIONS, planted.sale("unowned"))
    changed = await planted.club.http.put(f"{TRANSACTIONS}/{unowned['id']}", json=owner)
    assert changed.status_code == 200
    batch = [planted.sale("two", **owner, is_void=True), planted.sale("one", **owner)]
    await planted.post(f"{TRANSACTIONS}/batch.json", batch, 200)
    await planted.post(f"{TRANSACTIONS}/queue", [planted.sale("three", **owner)], 200)
    await planted.imported("transactions", planted.sale("four", profile=planted.canary("a-external_id")))


async def _plant_messages(planted: Planted) -> None:
    profile = {"profile": planted.canary("a-external_id")}
    joined = {"external_id": planted.canary("membership"), "type": "in", "at": "2026-01-01 00:00:00"}
    await planted.imported("profiles", {"external_id": profile["profile"], "first_name": planted.canary("imported")})
    await planted.club.http.post("/api/v3/locations", json={"external_id": "1"})
    of_unknown_profile = {"external_id": "2", "profile": planted.canary("unknown"), "type": "in", "at": AT}
    response = await planted.club.http.post(
        "/v1/import/memberships",
        content=json.dumps({**joined, **profile}).encode() + b"\n" + json.dumps(of_unknown_profile).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert response.json()["rejected"] == 1
    await planted.imported("sendings", {"external_id": "letter", "channel": "email"})
    await planted.imported(
        "sending_events",
        *(
            {"external_id": planted.canary(event), "sending": "letter", "event": event, "at": AT, **profile}
            | {"dispatch": planted.canary("dispatch")}
            for event in ("transmitted", "delivered", "opened")
        ),
    )
    visit = {"external_id": planted.canary("visit"), "url": "https://example.com/tea", "at": AT}
    await planted.imported("link_visits", visit | profile | {"visitor": planted.canary("visitor")})
    await planted.imported("offers", {"external_id": "tea", "name": "Tea"})
    used = {"external_id": planted.canary("used"), "offer": "tea", "event": "used", "at": AT}
    await planted.imported("offer_events", used | profile | {"transaction": planted.canary("one-external_id")})


async def _deliver(planted: Planted) -> None:
    """Delivers the events so far; of two more, one is matched with the webhook, and one is not yet."""
    client = WebhookClient(parse_networks("127.0.0.0/8"))
    dispatcher = WebhookDispatcher(planted.club.database, client)
    await dispatcher.dispatch(planted.club.community.id)
    await dispatcher.finish()
    await client.close()
    for name in ("matched", "unmatched"):
        await planted.post(TRANSACTIONS, planted.sale(name, profile_id=str(planted.profile_ids[0])))
        if name == "matched":
            await match_events(planted.club.database, planted.club.community.id)


async def _compact(club: Club) -> None:
    """Adds up what is not yet, as the jobs do within seconds, and takes a snapshot."""
    await snapshots.take(club.database, club.community.id)
    for compact in (compaction.compact_pending, purchases.compact_pending):
        while await compact(club.database, club.community.id):
            pass


async def _ask(planted: Planted) -> None:
    """Sends requests that are rejected or fail, which may be logged."""
    profile_id = planted.profile_ids[0]
    for path in (
        f"{PROFILES_URL}?filter[email]={planted.email}",
        f"{PROFILES_URL}/{profile_id}/identities/{planted.canary('unknown')}",
        f"{PROFILES_URL}/{profile_id}/aggregations?as_of={planted.canary('time')}",
        f"/nowhere/{planted.canary('path')}",
    ):
        await planted.club.http.get(path)
    for path, body in (
        (f"{PROFILES_URL}/search-id", {"type": "email", "id": planted.email}),
        (f"{PROFILES_URL}/availability", {"email": planted.email}),
        (PROFILES_URL, {"email": planted.email}),
        (PROFILES_URL, {"gender": planted.canary("g" * 64)}),
    ):
        await planted.club.http.post(path, json=body)


async def _found(owner: Any, planted: Planted) -> set[tuple[str, str]]:
    """The tables and columns of a whole dump that hold a canary."""
    pattern = re.compile(planted.pattern, re.IGNORECASE)
    found = set()
    for table in personal_data.TABLES:
        rows = await owner.fetch(
            f"SELECT to_jsonb(t)::text AS row FROM {table} AS t WHERE t::text ~* $1", pattern.pattern
        )
        for row in rows:
            found |= {(table, name) for name, value in json.loads(row["row"]).items() if pattern.search(str(value))}
    return found


async def _unplanted(owner: Any, planted: Planted) -> set[str]:
    """The tables that could hold rows of the member and don't."""
    counts = {
        name: await owner.fetchval(
            f"SELECT count(*) FROM {name} WHERE community_id = $1 AND {table.condition}",
            planted.club.community.id,
            planted.profile_ids,
        )
        for name, table in personal_data.TABLES.items()
        if table.condition
    }
    return {name for name, count in counts.items() if not count}


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """What is logged; the loggers are as before afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    logs.configure("json", "info")
    yield capsys
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.mark.parametrize("purge", [True, False], ids=["purged", "depersonalised"])
async def test_the_data_of_an_erased_member_are_found_nowhere(
    club: Club, database_urls: tuple[str, str], logged: pytest.CaptureFixture[str], purge: bool
) -> None:
    planted = Planted(club)
    everyone = {"type": "less_than", "field": "created_at", "value": "2999-01-01T00:00:00Z"}
    await (await segment_client(club)).create("everyone", everyone)
    async with receiving(lambda request, writer: http_response(200, request.body)) as receiver:
        await planted.post("/api/v3/webhooks", {"trigger": "*", "url": receiver.url})
        await _reject_before(planted)
        await _plant_profiles(planted)
        await _plant_purchases(planted)
        await _plant_messages(planted)
        await _deliver(planted)
    await _ask(planted)
    await _compact(club)
    async with owned(database_urls) as owner:
        assert await _unplanted(owner, planted) == set()
        at = f"{PROFILES_URL}/{planted.profile_ids[0]}"
        values = (await club.http.get(f"{at}/aggregations")).json()
        response = await club.http.delete(f"{at}/purge") if purge else await club.http.post(f"{at}/depersonalise")
        assert response.status_code in (200, 204), response.text
        await _compact(club)
        assert (await maintenance.delete_empty_counts(club.database, club.community.id) > 0) == purge
        found = await _found(owner, planted)
        payloads = await owner.fetch("SELECT event_type FROM webhook_deliveries WHERE body ~* $1", planted.pattern)
        assert {row["event_type"] for row in payloads} <= {"profile.deleted"}
    if not purge:
        assert (await club.http.get(f"{at}/aggregations/calculate")).json() == values
    assert [each async for each in verify(club.database, club.community.id) if isinstance(each, Discrepancy)] == []
    unexplained = {
        f"{table}.{column}"
        for table, column in found
        if not personal_data.TABLES[table].retention_reason(column, purge=purge)
    }
    assert unexplained == set()
    pattern = re.compile("|".join([planted.mark, planted.phone]), re.IGNORECASE)
    assert [line for line in logged.readouterr().err.splitlines() if pattern.search(line)] == []
