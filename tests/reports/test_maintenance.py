"""What keeps reports true when more than a member changes: zones, what was there before, and what is wrong."""

from __future__ import annotations

from uuid import UUID

import pytest

from api.profile_calls import create_profile, update_profile
from clubs import Club
from regulars.ingest.commit import commit
from regulars.jobs.refresh_due import refresh_community
from regulars.model.community_update import update_community
from regulars.rollups.compaction import compact, compact_pending
from regulars.rollups.snapshots import take
from regulars.verify.verify import verify
from reports.source_rows import fetch_rows


async def differences(club: Club) -> list[str]:
    """The discrepancies that verify finds."""
    return [str(each) async for each in verify(club.database, club.community.id) if not isinstance(each, int)]


async def buckets(club: Club, table: str, step: str) -> set[str]:
    """The buckets of a rollup that are not zero, in UTC."""
    column = "count" if table == "balance_rollups" else "delta"
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            f"SELECT DISTINCT bucket FROM {table} WHERE community_id = $1 AND granularity = $2 AND {column} <> 0",
            club.community.id,
            step,
        )
    return {f"{row['bucket']:%m-%d %H:%M}" for row in rows}


async def test_a_change_of_the_time_zone_rebuilds_all_buckets(club: Club) -> None:
    one = await create_profile(club, gender="female", joined_at="2026-10-20 20:30:00")
    await take(club.database, club.community.id)
    await compact(club.database, club.community.id)
    assert await buckets(club, "group_rollups", "1d") == {"10-20 00:00"}
    before = await fetch_rows(club.database, club.community.id, "members_grouped_count", [])
    club.clock.advance(hours=30)
    await commit(club.database, club.community.id, lambda uow: update_community(uow, timezone="Asia/Kathmandu"))
    await update_profile(club, one["id"], gender="male")
    now = await fetch_rows(club.database, club.community.id, "members_grouped_count", [])
    assert await compact_pending(club.database, club.community.id) > 0
    # A day begins at 18:15 UTC there.
    assert await buckets(club, "group_rollups", "1d") == {"10-20 18:15", "11-01 18:15"}
    assert await buckets(club, "balance_rollups", "1d") == {"10-20 18:15"}
    assert await buckets(club, "snapshot_rollups", "1d") == {"10-31 18:15"}
    assert sorted(map(str, await fetch_rows(club.database, club.community.id, "members_grouped_count", []))) == sorted(
        map(str, now)
    )
    assert {str(row) for row in before} & {str(row) for row in now}
    assert await differences(club) == []


async def test_buckets_of_members_are_in_the_former_time_zone_until_they_are_rebuilt(club: Club) -> None:
    one = await create_profile(club, gender="female", joined_at="2026-10-20 20:30:00")
    await take(club.database, club.community.id)
    await compact(club.database, club.community.id)
    club.clock.advance(hours=30)
    await commit(club.database, club.community.id, lambda uow: update_community(uow, timezone="Asia/Kathmandu"))
    await update_profile(club, one["id"], gender="male")
    await take(club.database, club.community.id)
    assert await buckets(club, "snapshot_rollups", "1d") == {"11-01 00:00", "11-02 00:00"}
    assert await differences(club) == []
    assert await compact_pending(club.database, club.community.id) > 0
    assert await buckets(club, "snapshot_rollups", "1d") == {"10-31 18:15", "11-01 18:15"}
    assert await differences(club) == []


async def test_the_refresh_job_backfills_member_dimensions(club: Club) -> None:
    await create_profile(club, gender="female")
    async with club.database.write_transaction(club.community.id) as scope:
        for table in ("members", "membership_events", "group_count_deltas", "member_flow_deltas"):
            await scope.execute(f"DELETE FROM {table} WHERE community_id = $1", club.community.id)
        await scope.execute(
            "INSERT INTO compaction_state (community_id, backfilled_up_to) VALUES ($1, $2)",
            club.community.id,
            UUID(int=0),
        )
    assert await differences(club) != []
    assert await refresh_community(club.database, club.community.id, lambda: False) == 1
    assert await differences(club) == []
    assert await refresh_community(club.database, club.community.id, lambda: False) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("UPDATE members SET is_member = FALSE", "is_member is stored as 'false', expected 'true'"),
        ("UPDATE members SET groups = '{all:}'", "groups is stored as '{all:}'"),
        ("UPDATE group_counts SET members_count = 2", "group gender:female: members_count is stored as '2'"),
        ("UPDATE group_rollups SET delta = 3 WHERE granularity = '1d'", "change in the 1d from 2026-11-01"),
        ("UPDATE balance_rollups SET count = 3 WHERE granularity = '1w'", "in the 1w from 2026-10-26"),
        ("DELETE FROM members", "profile"),
    ],
)
async def test_verify_finds_wrong_members_and_counts(club: Club, wrong: str, message: str) -> None:
    await create_profile(club, gender="female")
    await compact(club.database, club.community.id)
    assert await differences(club) == []
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(wrong)
    assert any(message in each for each in await differences(club))
