"""A fact type that is declared in this file alone is loaded, imported, counted, verified, erased and listed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
import pytest_asyncio
from msgspec import UNSET

from api.profile_calls import PROFILES_URL, create_profile
from cli.conftest import Command, command
from clubs import Club, ManualClock, create_club
from loading.file_loader import FileLoader, outcome_counts, reasons_by_line
from prometheus_scrape import parse_scrape
from regulars.core import timestamps, validation
from regulars.facts import maintenance, timed_events
from regulars.facts.columns import Columns
from regulars.facts.fact_type import FactMetric, FactType, RowOutcome, RowSchema
from regulars.facts.registry import FACT_TYPES
from regulars.ingest.commit import commit
from regulars.jobs.scheduler import Scheduler
from regulars.model.community import Community, NewCommunity
from regulars.model.community_update import update_community
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import partitions, timezones
from regulars.settings import Settings
from regulars.storage import retention
from regulars.storage.database import Database, Scope
from regulars.storage.migrate import role_of
from regulars.verify.verify import Discrepancy, verify

__all__ = ["command"]

# The fact type: coffees that members drink, counted by local day --------------------------------------------

SCHEMA = """
CREATE TABLE coffees (
    community_id  int NOT NULL,
    external_id   text NOT NULL,
    profile_id    uuid,
    drunk_at      timestamptz NOT NULL,
    PRIMARY KEY (community_id, external_id)
);
CREATE TABLE coffee_counts (
    community_id  int NOT NULL,
    day           date NOT NULL,
    coffees       bigint NOT NULL,
    PRIMARY KEY (community_id, day)
);
"""


class CoffeeIn(msgspec.Struct, frozen=True, kw_only=True):
    """A coffee as input."""

    external_id: validation.Code = UNSET
    profile: validation.Code = UNSET
    at: validation.Text = UNSET


@dataclass(frozen=True)
class Coffee:
    """A validated coffee."""

    external_id: str
    profile: str | None
    occurred_at: datetime


def _validate(coffee: CoffeeIn, community: Community) -> Coffee:
    reader = validation.FieldReader()
    reader.read("external_id", coffee.external_id, validation.check_code)
    reader.read("profile", coffee.profile, validation.check_code)
    reader.read("at", coffee.at, partial(timestamps.parse_in_timezone, zone=community.timezone))
    reader.require("external_id", "at")
    columns = reader.result()
    return Coffee(columns["external_id"], columns.get("profile"), columns["at"])


_INSERT = """
INSERT INTO coffees (community_id, external_id, profile_id, drunk_at)
SELECT $1, external_id, nullif(profile_id, '00000000-0000-0000-0000-000000000000'), drunk_at
FROM unnest($2::text[], $3::uuid[], $4::timestamptz[]) AS input (external_id, profile_id, drunk_at)
ON CONFLICT DO NOTHING
RETURNING external_id
"""

_COUNT = """
WITH counted AS (
    SELECT CAST(drunk_at AT TIME ZONE timezone AS date) AS day, count(*) AS coffees
    FROM coffees JOIN communities ON id = community_id
    WHERE community_id = $1
    GROUP BY 1
)
"""

_RECOUNT = f"""
{_COUNT}
INSERT INTO coffee_counts (community_id, day, coffees)
SELECT $1, day, coalesce(counted.coffees, 0)
FROM counted FULL JOIN (SELECT day FROM coffee_counts WHERE community_id = $1) AS stored USING (day)
ON CONFLICT (community_id, day) DO UPDATE SET coffees = excluded.coffees
"""

_VERIFY = f"""
{_COUNT}
SELECT 'coffees' AS key, day::text AS name, stored.coffees::text AS stored, counted.coffees::text AS recomputed
FROM counted
FULL JOIN (SELECT day, coffees FROM coffee_counts WHERE community_id = $1 AND coffees > 0) AS stored USING (day)
WHERE counted.coffees IS DISTINCT FROM stored.coffees
"""


async def _write(uow: UnitOfWork, rows: Sequence[Coffee]) -> list[RowOutcome]:
    return await timed_events.write_events(uow, rows, _insert)


async def _insert(uow: UnitOfWork, rows: Sequence[Coffee], profile_ids: timed_events.ProfileIds) -> set[int]:
    await timezones.ensure(uow, "coffees")
    names = [row.external_id for row in rows]
    own = [profile_ids[row.profile] for row in rows]
    inserted = await uow.fetch(_INSERT, uow.community_id, names, own, [row.occurred_at for row in rows])
    await uow.execute(_RECOUNT, uow.community_id)
    new = {row["external_id"] for row in inserted}
    return {index for index, name in enumerate(names) if name in new and names.index(name) == index}


async def _erase(scope: Scope, profile_ids: Collection[UUID]) -> None:
    ids = sorted(profile_ids)
    await scope.execute(
        "DELETE FROM coffees WHERE community_id = $1 AND profile_id = ANY ($2)", scope.community_id, ids
    )
    await scope.execute(_RECOUNT, scope.community_id)


async def _reassign(scope: Scope, merged: Mapping[UUID, UUID]) -> None:
    for source_id, destination_id in merged.items():
        await scope.execute(
            "UPDATE coffees SET profile_id = $3 WHERE community_id = $1 AND profile_id = $2",
            scope.community_id,
            source_id,
            destination_id,
        )


async def _rebuild(scope: Scope, timezone: str) -> None:
    await scope.execute("DELETE FROM coffee_counts WHERE community_id = $1", scope.community_id)
    await scope.execute(_RECOUNT, scope.community_id)


_rebuilt = asyncio.Event()


async def _rebuild_if_stale(database: Database, community_id: int) -> int:
    rebuilt = await timezones.rebuild_if_changed(database, community_id, "coffees", _rebuild)
    if rebuilt:
        _rebuilt.set()
    return rebuilt


async def _find_discrepancies(scope: Scope, as_of: datetime | None) -> Sequence[Any]:
    return await scope.fetch(_VERIFY, scope.community_id)


async def _count(scope: Scope) -> int:
    count: int = await scope.fetchval("SELECT count(*) FROM coffees WHERE community_id = $1", scope.community_id)
    return count


COFFEES = FactType(
    name="coffees",
    description="Coffees that members drink.",
    schema=RowSchema(Columns(CoffeeIn, (("external_id",), ("at",)), {}), _validate),
    write=_write,
    erase=_erase,
    reassign=_reassign,
    rebuild=_rebuild_if_stale,
    empty_counts=("DELETE FROM coffee_counts WHERE community_id = $1 AND coffees = 0",),
    verify=_find_discrepancies,
    metrics=(FactMetric("coffees_drunk", "Coffees.", _count),),
)

# Tests ------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def cafe(own_database: Database, empty_urls: tuple[str, str], clock: ManualClock) -> AsyncIterator[Club]:
    """A club in a database with the tables of the fact type."""
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        owner.execute(SCHEMA.encode())
        owner.execute((files("regulars.storage") / "isolation.sql").read_bytes())
        role = role_of(empty_urls[1])
        owner.execute(f"GRANT ALL ON coffees, coffee_counts TO {role}".encode())
    await retention.maintain_partitions(own_database, 7)
    await partitions.ensure(own_database)
    new = NewCommunity(slug="cafe", name="Cafe", country="NO", timezone="UTC", currency="NOK")
    with FACT_TYPES.registered(COFFEES):
        async for club in create_club(own_database, clock, new):
            yield club


@pytest.fixture
def load(cafe: Club, tmp_path: Path) -> FileLoader:
    """Loads files into the club."""
    return FileLoader(cafe, tmp_path)


async def counts(cafe: Club) -> dict[str, int]:
    async with cafe.database.read_transaction(cafe.community.id) as scope:
        rows = await scope.fetch("SELECT day, coffees FROM coffee_counts WHERE community_id = $1", cafe.community.id)
    return {str(row["day"]): row["coffees"] for row in rows}


async def discrepancies(cafe: Club) -> list[str]:
    return [str(each) async for each in verify(cafe.database, cafe.community.id) if isinstance(each, Discrepancy)]


FILE = """external_id,profile,at
c1,P1,2026-10-01 09:00
c2,P1,2026-10-01 23:30
c3,P2,2026-10-02 10:00
c4,unknown,2026-10-02 10:00
c5,,soon
"""


async def test_it_is_loaded_and_counted(cafe: Club, load: FileLoader) -> None:
    await load.profiles("P1", "P2")
    summary = await load("coffees", FILE)
    assert outcome_counts(summary) == (3, 0, 2)
    assert set(reasons_by_line(summary)) == {5, 6}
    assert outcome_counts(await load("coffees", FILE)) == (0, 3, 2)
    assert await counts(cafe) == {"2026-10-01": 2, "2026-10-02": 1}


async def test_it_is_imported_and_its_rows_are_a_metric(cafe: Club) -> None:
    row = msgspec.json.encode({"external_id": "c1", "at": "2026-10-01T09:00:00Z"})
    headers = {"Content-Type": "application/x-ndjson"}
    response = await cafe.http.post("/v1/import/coffees", content=row, headers=headers)
    assert (response.status_code, response.json()["accepted"]) == (200, 1)
    scraped = parse_scrape((await cafe.http.get("/metrics", headers={"Authorization": ""})).text)
    imported = {
        labels["outcome"]: value
        for labels, value in scraped.series("regulars_import_rows_total")
        if labels["entity"] == "coffees"
    }
    assert imported == {"accepted": 1, "unchanged": 0, "rejected": 0}
    assert [value for _, value in scraped.series("coffees_drunk")] == [1]


async def test_it_is_verified(cafe: Club, load: FileLoader) -> None:
    await load.profiles("P1", "P2")
    await load("coffees", FILE)
    assert await discrepancies(cafe) == []
    async with cafe.database.write_transaction(cafe.community.id) as scope:
        statement = "UPDATE coffee_counts SET coffees = 7 WHERE community_id = $1 AND day = $2"
        await scope.execute(statement, cafe.community.id, date(2026, 10, 1))
    [found] = await discrepancies(cafe)
    assert found == "coffees: 2026-10-01 is stored as '7', expected '2'"


async def test_a_merge_reassigns_it_and_a_purge_erases_it(cafe: Club, load: FileLoader) -> None:
    source, destination = [await create_profile(cafe, external_id=name) for name in ("P1", "P2")]
    await load("coffees", FILE)
    body = {"source_profile_id": source["id"], "destination_profile_id": destination["id"]}
    assert (await cafe.http.post(f"{PROFILES_URL}/merge", json=body)).status_code == 200
    assert await load.fetchval("SELECT count(*) FROM coffees WHERE profile_id = $2", UUID(destination["id"])) == 3
    assert (await cafe.http.delete(f"{PROFILES_URL}/{destination['id']}/purge")).status_code == 204
    assert await load.fetchval("SELECT count(*) FROM coffees WHERE TRUE") == 0
    assert await counts(cafe) == {"2026-10-01": 0, "2026-10-02": 0}
    assert await maintenance.delete_empty_counts(cafe.database, cafe.community.id) >= 2
    assert await counts(cafe) == {}
    assert await discrepancies(cafe) == []


async def test_the_scheduler_rebuilds_it_in_another_time_zone(cafe: Club, load: FileLoader) -> None:
    await load.profiles("P1", "P2")
    await load("coffees", FILE)
    await commit(cafe.database, cafe.community.id, lambda uow: update_community(uow, timezone="Europe/Oslo"))
    scheduler = Scheduler(cafe.database, Settings())
    scheduler.start()
    try:
        await asyncio.wait_for(_rebuilt.wait(), 30)
    finally:
        await scheduler.stop()
    assert await counts(cafe) == {"2026-10-01": 1, "2026-10-02": 2}
    assert await discrepancies(cafe) == []


def test_it_is_listed_by_the_command_line(command: Command) -> None:
    with FACT_TYPES.registered(COFFEES):
        refused = command("load", "teas", "teas.csv", "--community", "cafe")
    assert refused.code == 2
    assert "Unknown entity 'teas'. Allowed: communities, locations," in refused.err
    assert "coffees." in refused.err


async def test_it_is_listed_by_the_import_endpoint(cafe: Club) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    response = await cafe.http.post("/v1/import/teas", content=b"", headers=headers)
    assert response.status_code == 404
    assert "coffees" in response.json()["message"]
