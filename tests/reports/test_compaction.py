"""Compaction: counts are exact at any moment, during writes, reads and failures."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from api.profile_calls import create_profile
from clubs import Club
from regulars.facts import maintenance
from regulars.ingest.commit import commit
from regulars.model.profiles.schema import ProfileIn
from regulars.model.profiles.schema import validate as checked_profile
from regulars.model.profiles.write import write_rows
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import compaction
from regulars.rollups.compaction import compact, compact_pending
from reports.source_rows import fetch_rows


async def join(club: Club, number: int, **fields: object) -> None:
    """Some members join in one commit."""

    async def work(uow: UnitOfWork) -> None:
        rows = [checked_profile(ProfileIn(gender="female", **fields)) for _ in range(number)]  # type: ignore[arg-type]
        await write_rows(uow, rows, [None] * number)

    await commit(club.database, club.community.id, work)


async def women(club: Club) -> int:
    """The number of women that the report counts."""
    rows = await fetch_rows(club.database, club.community.id, "members_grouped_count", ["grouping_type"])
    return sum(row["members_count"] for row in rows if row["grouping_value"] == "female")


async def test_readers_see_whole_commits_during_writes_and_compaction(club: Club) -> None:
    seen: list[int] = []
    done = asyncio.Event()

    async def folder() -> None:
        while not done.is_set():
            await compact(club.database, club.community.id)

    async def reader() -> None:
        while not done.is_set():
            seen.append(await women(club))

    async def writer() -> None:
        for _ in range(8):
            await join(club, 5)

    others = [asyncio.create_task(each()) for each in (folder, reader)]
    await asyncio.gather(*(writer() for _ in range(3)))
    done.set()
    await asyncio.gather(*others)
    assert seen == sorted(seen)
    assert all(each % 5 == 0 for each in seen)
    assert await women(club) == 3 * 8 * 5


async def test_a_failed_compaction_leaves_all_deltas_to_the_next(club: Club) -> None:
    await join(club, 3)
    assert club.community.id in compaction.pending_communities()
    async with club.database.unscoped_connection() as connection:
        await connection.execute(f"BEGIN; SET LOCAL regulars.community_id = '{club.community.id}'")
        assert await connection.fetchval(compaction._TRY_LOCK, club.community.id)
        # Another folder is at it: this one leaves it alone.
        assert await compact(club.database, club.community.id) == 0
        await connection.execute("ROLLBACK")
    assert await women(club) == 3
    assert await compact(club.database, club.community.id) > 0
    assert club.community.id not in compaction.pending_communities()
    assert await women(club) == 3
    assert await compact(club.database, club.community.id) == 0


async def test_a_long_read_transaction_sees_the_same_counts_and_blocks_no_compaction(club: Club) -> None:
    await join(club, 2)
    counted = """
    SELECT (SELECT coalesce(sum(members_count), 0) FROM group_counts WHERE community_id = $1 AND grouping_type = 'all')
        + (SELECT coalesce(sum(delta), 0) FROM group_count_deltas WHERE community_id = $1 AND grouping_type = 'all')
    """
    async with club.database.read_transaction(club.community.id) as scope:
        assert await scope.fetchval(counted, club.community.id) == 2
        await compact(club.database, club.community.id)
        await join(club, 4)
        await compact(club.database, club.community.id)
        assert await scope.fetchval(counted, club.community.id) == 2
    assert await women(club) == 6


async def test_deltas_of_an_open_transaction_are_compacted_later(club: Club) -> None:
    async with club.database.write_transaction(club.community.id) as slow:
        await slow.execute(
            """
            INSERT INTO group_count_deltas (community_id, bucket, grouping_type, grouping_value, delta, changed_at)
            VALUES ($1, $2, 'gender', 'female', 1, $2)
            """,
            club.community.id,
            club.clock.at,
        )
        await join(club, 2)
        assert await compact(club.database, club.community.id) > 0
        assert await women(club) == 2
    assert await women(club) == 3
    assert await compact(club.database, club.community.id) == 1
    assert await women(club) == 3


async def test_a_database_restored_to_lower_transaction_ids_loses_no_deltas(club: Club) -> None:
    await join(club, 2)
    await compact(club.database, club.community.id)
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "UPDATE compaction_state SET watermark = '9000000000000' WHERE community_id = $1", club.community.id
        )
    await join(club, 3)
    assert await women(club) == 2
    assert await compaction.repair(club.database) == 1
    assert await women(club) == 5
    assert await compact_pending(club.database, club.community.id) > 0
    assert await women(club) == 5
    assert await compact_pending(club.database, club.community.id) == 0


async def test_a_writer_with_many_deltas_compacts_them(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MAX_UNCOMPACTED", 1)
    await join(club, 1)
    assert await compact_pending(club.database, club.community.id) == 0
    assert await women(club) == 1


async def test_a_compaction_creates_missing_partitions(club: Club) -> None:
    club.clock.at += timedelta(days=20_000)
    await join(club, 1)
    assert await compact(club.database, club.community.id) > 0
    assert await women(club) == 1


async def test_a_commit_that_does_not_change_a_count_does_not_update_its_time(club: Club) -> None:
    await join(club, 5)
    first = club.clock.at
    club.clock.advance(hours=1)

    async def come_and_go(uow: UnitOfWork) -> None:
        rows = [checked_profile(ProfileIn(gender="female"))]
        [woman] = await write_rows(uow, rows, [None])
        await write_rows(uow, [checked_profile(ProfileIn(gender="male"))], [woman.profile_id])  # type: ignore[union-attr]

    await commit(club.database, club.community.id, come_and_go)
    for _ in range(2):
        rows = await fetch_rows(club.database, club.community.id, "members_grouped_count", ["grouping_type"])
        reported = {row["grouping_value"]: (row["members_count"], row["updated_at"]) for row in rows}
        assert reported["female"] == (5, first)
        assert reported["male"] == (1, club.clock.at)
        await compact(club.database, club.community.id)


async def test_the_id_of_an_erased_profile_is_deleted_after_two_days(club: Club) -> None:
    member = await create_profile(club, gender="female")
    await club.http.delete(f"/api/v3/profiles/{member['id']}/purge")
    async with club.database.read_transaction(club.community.id) as scope:
        row = await scope.fetchrow("SELECT * FROM members WHERE community_id = $1", club.community.id)
    assert (row["is_member"], row["member_id"], row["gender"], row["groups"]) == (False, None, None, [])
    assert await maintenance.drop_expired(club.database, club.community.id) == 0
    club.clock.advance(days=2, seconds=1)
    assert await maintenance.drop_expired(club.database, club.community.id) == 1
