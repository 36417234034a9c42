"""Feeds keep the days they should: those to come are there, those past their time are gone."""

from __future__ import annotations

import asyncio
from datetime import date

import asyncpg
import pytest

from aggregations.case import at
from api.transaction_client import create_profile, create_transaction, get_values, sale
from clubs import Club, ManualClock
from postgres_servers import on_both_servers, on_both_servers_if_long
from regulars.storage import retention
from regulars.storage.database import Database


async def days(database: Database, feed: str) -> list[str]:
    """Returns the days with a partition."""
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::text::regclass ORDER BY 1",
            feed,
        )
    return [row["name"].removeprefix(f"{feed}_") for row in rows]


@on_both_servers
async def test_partitions_are_created_in_advance_and_expired_ones_dropped(
    own_database: Database, clock: ManualClock
) -> None:
    clock.at = at("2020-06-10 23:59")
    await retention.maintain_partitions(own_database, 7)
    to_come = ["20200609", "20200610", "20200611", "20200612", "20200613"]
    assert await days(own_database, "outbox") == to_come
    for feed in ("idempotency_keys", "commit_markers"):
        assert await days(own_database, feed) == to_come
    clock.at = at("2020-06-17 00:00")
    # The day of the outbox that is a week old stays; of the keys and markers, only yesterday's.
    assert await retention.maintain_partitions(own_database, 7) == 1 + 5 + 5
    assert await days(own_database, "outbox") == [*to_come[1:], *(f"202006{day}" for day in range(16, 21))]
    for feed in ("idempotency_keys", "commit_markers"):
        assert await days(own_database, feed) == [f"202006{day}" for day in range(16, 21)]
    assert await retention.maintain_partitions(own_database, 7) == 0


@on_both_servers_if_long
async def test_concurrent_processes_create_a_partition_once(own_database: Database, clock: ManualClock) -> None:
    clock.at = at("2020-01-01")
    for _ in range(4):
        clock.advance(days=30)
        await asyncio.gather(*(retention.maintain_partitions(own_database, 7) for _ in range(4)))
        assert len(await days(own_database, "outbox")) == 5


@on_both_servers
async def test_a_write_creates_a_missing_partition(club: Club) -> None:
    mine = await create_profile(club)
    club.clock.at = at("2071-01-01")
    headers = {"Idempotency-Key": "first of the year"}
    for _ in range(2):
        answer = await club.http.post(
            "/api/v3/transactions", json=sale(10, "2070-12-31 12:00:00", profile_id=mine), headers=headers
        )
        assert answer.status_code == 201
    assert (await get_values(club, mine))["shop_count"] == 1
    await create_transaction(club, sale(10, "2070-12-31 13:00:00", profile_id=mine))
    assert "20710101" in await days(club.database, "outbox")


@pytest.mark.parametrize("function", ["ensure_partition", "drop_partitions"])
async def test_only_partitioned_tables_can_have_partitions(function: str, database: Database) -> None:
    async with database.unscoped_connection() as connection:
        with pytest.raises(asyncpg.RaiseError, match="unknown partitioned table transactions"):
            await connection.execute(f"SELECT {function}('transactions', $1)", date(2030, 1, 1))
