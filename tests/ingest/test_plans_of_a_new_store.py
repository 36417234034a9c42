"""In a store without statistics no write reads a whole index again and again.

A connection plans a statement once, maybe while the tables are empty. All indexes then seem to cost the same, so that a
look-up by key must not admit another index of the same community.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from api.product_calls import create_product
from api.transaction_client import V3, create_profile, create_transaction, item_fields, sale, update_transaction
from clubs import Club, ManualClock, create_club
from regulars.model.community import NewCommunity
from regulars.storage import database as databases
from regulars.storage.database import Database

_ONLY_COMMUNITY = re.compile(r"\(?\(*community_id = [^()]*\)*")
"""An index condition without another column."""

NDJSON = {"Content-Type": "application/x-ndjson"}
SALE = {"transacted_at": "2026-10-01T10:00:00Z", "total": 5}

Plan = dict[str, Any]


def repeated_scans(plan: Plan, *, is_repeated: bool = False) -> Iterator[Plan]:
    """Scans that run once for each row of another relation."""
    if is_repeated and plan["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"):
        yield plan
    for place, child in enumerate(plan.get("Plans", [])):
        starts = child["Parent Relationship"] == "SubPlan" or (plan["Node Type"] == "Nested Loop" and place == 1)
        # A CTE or an initial plan runs once, a materialized or hashed relation is stored.
        ends = child["Parent Relationship"] == "InitPlan" or plan["Node Type"] in ("Materialize", "Hash")
        yield from repeated_scans(child, is_repeated=(is_repeated or starts) and not ends)


def is_whole(scan: Plan, columns: dict[str, int]) -> bool:
    """Whether a scan reads all rows of a community."""
    if scan["Node Type"] == "Seq Scan":
        return True
    return columns[scan["Index Name"]] > 1 and bool(_ONLY_COMMUNITY.fullmatch(scan.get("Index Cond", "")))


async def write_every_kind(club: Club) -> None:
    """Writes of catalogue, profiles and transactions, alone and by import."""
    store = (
        await club.http.post(f"{V3}/locations", json={"name": "Store", "type": "store", "external_id": "L1"})
    ).json()
    await create_product(club, name="Socks", variants=[{"sku": "S1"}], brand={"name": "Ash"})
    members: list[dict[str, Any]] = [
        {"external_id": f"M{number}", "email": f"m{number}@example.com"} for number in range(3)
    ]
    sales: list[dict[str, Any]] = [
        {"external_id": f"T{number}", "profile": f"M{number}", "location": "L1", "items": [{"sku": "S1"}]}
        for number in range(3)
    ]
    for entity, rows in {"profiles": members, "transactions": [SALE | each for each in sales]}.items():
        lines = "\n".join(json.dumps(each) for each in rows)
        answer = await club.http.post(f"/v1/import/{entity}", content=lines, headers=NDJSON)
        assert answer.json()["accepted"] == len(rows), answer.text
    destination, source = [
        await create_profile(club, email=f"{name}@example.com") for name in ("destination", "source")
    ]
    at_store = {"location_id": store["data"]["id"], "items": [item_fields(sku="S1")]}
    bought = await create_transaction(club, sale(profile_id=source, **at_store))
    await update_transaction(club, bought, total=50)
    body = {"source_profile_id": source, "destination_profile_id": destination}
    assert (await club.http.post(f"{V3}/profiles/merge", json=body)).status_code == 200
    assert (await club.http.put(f"{V3}/profiles/{destination}", json={"first_name": "Kim"})).status_code == 200
    assert (await club.http.delete(f"{V3}/transactions/{bought['id']}")).status_code < 300
    assert (await club.http.delete(f"{V3}/profiles/{destination}")).status_code < 300


async def test_no_write_scans_an_index_for_each_row(
    migrated_urls: tuple[str, str], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: dict[str, None] = {}
    prepare = databases._prepare_connection

    async def prepare_and_record(connection: Any) -> None:
        await prepare(connection)
        connection.add_query_logger(lambda record: statements.setdefault(record.query))

    monkeypatch.setattr(databases, "_prepare_connection", prepare_and_record)
    async with Database(migrated_urls[1], 4, clock) as database:
        new = NewCommunity(slug="new-store", name="New", country="NO", timezone="UTC", currency="NOK")
        async for club in create_club(database, clock, new):
            await write_every_kind(club)
    recorded = [each for each in statements if re.match(r"\s*(--|WITH|SELECT|INSERT|UPDATE|DELETE)", each)]
    found = {}
    with psycopg.connect(migrated_urls[1]) as connection:
        columns: dict[str, int] = dict(
            connection.execute("SELECT indexrelid::regclass::text, indnkeyatts FROM pg_index").fetchall()
        )
        for statement in recorded:
            explained = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}".encode()).fetchone()
            assert explained is not None
            for scan in repeated_scans(explained[0][0]["Plan"]):
                scanned = scan["Index Name"] if "Index Name" in scan else scan["Relation Name"]
                if is_whole(scan, columns) and not scanned.startswith("pg_"):
                    found[scanned] = statement[:200]
    assert len(recorded) > 50
    assert found == {}
