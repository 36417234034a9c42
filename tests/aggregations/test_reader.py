"""Reads: the stored row if it is valid, else it is computed; simultaneous reads are computed together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from aggregations.case import ME, at, case, purchase
from aggregations.store_facts import store_case
from clubs import ManualClock
from regulars.aggregations import batched_reads
from regulars.aggregations import reader as reader_module
from regulars.aggregations.reader import ProfileValues, ValueReader, read_current
from regulars.storage.database import Database

WORLD = case("", [purchase("2026-10-01 12:00", "10", 1)], {})


class Counting(ValueReader):
    """A reader that records what it fetches from the database."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.fetched: list[list[UUID]] = []

    async def read_many(self, community_id: int, profile_ids: Sequence[UUID]) -> dict[UUID, ProfileValues]:
        """As the reader's own."""
        self.fetched.append(list(profile_ids))
        return await super().read_many(community_id, profile_ids)


async def store_world(database: Database, clock: ManualClock) -> int:
    """A community that holds the world."""
    community, _ = await store_case(database, clock, WORLD)
    return community.id


async def break_row(database: Database, community_id: int, change: str) -> None:
    """Changes stored rows behind the product's back."""
    async with database.write_transaction(community_id) as scope:
        await scope.execute(f"UPDATE profile_aggregations SET {change} WHERE community_id = $1", community_id)


def shown(read: ProfileValues | None, name: str) -> Any:
    """One value of a read."""
    assert read is not None
    value = read.values()[name]
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


async def test_an_unknown_profile_is_none(database: Database, clock: ManualClock) -> None:
    community_id = await store_world(database, clock)
    reader, unknown_id = ValueReader(database), uuid4()
    assert await reader.read(community_id, unknown_id) is None
    assert await reader.read_many(community_id, [unknown_id]) == {}
    async with database.read_transaction(community_id) as scope:
        assert await read_current(scope, [unknown_id], WORLD.as_of) == {}
    then = await reader.read_as_of(community_id, [(unknown_id, WORLD.as_of), (ME, WORLD.as_of)])
    assert [each and shown(each, "shop_count") for each in then] == [None, 1]


async def test_concurrent_reads_share_a_statement(database: Database, clock: ManualClock) -> None:
    community_id = await store_world(database, clock)
    reader, unknown_id = Counting(database), uuid4()
    first = [asyncio.ensure_future(reader.read(community_id, each)) for each in (ME, ME, unknown_id)]
    await asyncio.sleep(0)
    second = asyncio.ensure_future(reader.read(community_id, ME))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    third = asyncio.ensure_future(reader.read(community_id, ME))
    reads = [await each for each in (*first, second, third)]
    assert [shown(each, "shop_count") if each else None for each in reads] == [1, 1, None, 1, 1]
    assert reader.fetched[0] == [ME, unknown_id]
    assert len(reader.fetched) == 2
    await reader.finish()


async def test_a_statement_reads_a_limited_number_of_profiles(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_reads, "MAX_PROFILES_PER_READ", 2)
    community_id = await store_world(database, clock)
    reader = Counting(database)
    reads = await asyncio.gather(*(reader.read(community_id, each) for each in (uuid4(), uuid4(), ME)))
    assert [each is not None for each in reads] == [False, False, True]
    assert [len(each) for each in reader.fetched] == [2, 1]


async def test_a_failure_is_raised_for_all_waiting_reads_and_no_later_one(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    community_id = await store_world(database, clock)
    reader = ValueReader(database)
    with monkeypatch.context() as broken:
        broken.setattr(reader_module, "READ_STORED_ROWS", "SELECT 1 / 0 FROM unnest($2::uuid[]) WHERE $1::text <> ''")
        waiting = [asyncio.ensure_future(reader.read(community_id, ME)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each).__name__ for each in failed] == ["CancelledError", *["DivisionByZeroError"] * 2]
    assert shown(await reader.read(community_id, ME), "shop_count") == 1


async def test_a_cancelled_task_leaves_no_read_waiting() -> None:
    started = asyncio.Event()

    async def hang(community_id: int, profile_ids: Sequence[UUID]) -> dict[UUID, int]:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    reads = batched_reads.BatchedReads(hang)
    waiting = [reads.read(1, ME) for _ in range(2)]
    await started.wait()
    (task,) = reads._tasks
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting[0], 10)
    assert waiting[1].cancelled()


async def test_a_cancelled_read_does_not_affect_the_others(database: Database, clock: ManualClock) -> None:
    community_id = await store_world(database, clock)
    reader = ValueReader(database)
    waiting = [asyncio.ensure_future(reader.read(community_id, ME)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert shown(await waiting[1], "shop_count") == 1


async def test_a_body_in_memory_is_used_alone_and_among_profiles_that_are_not(
    database: Database, clock: ManualClock
) -> None:
    community_id = await store_world(database, clock)
    reader, unknown_ids = Counting(database), [uuid4(), uuid4()]
    cold, stored, repeated = [await reader.read_body(community_id, ME) for _ in range(3)]
    assert cold is not None
    assert cold == stored == repeated
    assert reader.fetched == [[ME], [ME]]
    # Of mostly other profiles, whole rows are read, and the body of this one need not be encoded.
    among = [reader.read_body(community_id, each) for each in (ME, *unknown_ids)]
    assert [await each for each in among] == [cold, None, None]
    assert reader.fetched[2:] == [[ME, *unknown_ids]]
    await break_row(database, community_id, "shop_count = 7")
    changed = [reader.read_body(community_id, each) for each in (ME, *unknown_ids)]
    assert b'"shop_count":7' in (await changed[0] or b"")
    await reader.finish()


async def test_a_current_row_is_returned_without_computation(database: Database, clock: ManualClock) -> None:
    community_id = await store_world(database, clock)
    await break_row(database, community_id, "shop_count = 7")
    assert shown(await ValueReader(database).read(community_id, ME), "shop_count") == 7


@pytest.mark.parametrize(
    "why", ["next_change_at = '2026-10-31'", "next_change_at = '2026-11-01'", "values_version = 0"]
)
async def test_a_stale_row_is_computed(why: str, database: Database, clock: ManualClock) -> None:
    community_id = await store_world(database, clock)
    await break_row(database, community_id, f"shop_count = 7, {why}")
    assert shown(await ValueReader(database).read(community_id, ME), "shop_count") == 1


async def test_a_profile_deleted_during_a_read_is_none(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    community_id = await store_world(database, clock)
    await break_row(database, community_id, "values_version = 0")

    async def compute_nothing(*arguments: object) -> list[Any]:
        return []

    monkeypatch.setattr(reader_module, "compute_rows", compute_nothing)
    assert await ValueReader(database).read(community_id, ME) is None


async def test_locations_are_cached_until_one_changes(database: Database, clock: ManualClock) -> None:
    community_id = await store_world(database, clock)
    reader = ValueReader(database)
    assert shown(await reader.read(community_id, ME), "store_join")["name"] is None
    async with database.write_transaction(community_id) as scope:
        await scope.execute("UPDATE locations SET name = 'New' WHERE community_id = $1", community_id)
    assert shown(await reader.read(community_id, ME), "store_join")["name"] is None
    async with database.write_transaction(community_id) as scope:
        await scope.execute("UPDATE cache_versions SET locations_version = 2 WHERE community_id = $1", community_id)
    assert shown(await reader.read(community_id, ME), "store_join")["name"] == "New"


async def test_values_at_a_past_instant_have_that_instant(database: Database, clock: ManualClock) -> None:
    community_id = await store_world(database, clock)
    entities = [(ME, at("2026-10-01 12:00")), (ME, at("2026-10-01 11:59:59"))]
    reads = await ValueReader(database).read_as_of(community_id, entities)
    assert [(shown(each, "shop_count"), shown(each, "calculated_at")) for each in reads] == [
        (1, "2026-10-01 12:00:00"),
        (0, "2026-10-01 11:59:59"),
    ]
