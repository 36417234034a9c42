"""Snapshots: what was seen every 15 minutes, never rewritten but by a purge, filled by a bulk load."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from api.profile_calls import create_profile, update_profile
from clubs import Club
from query.replica_client import tenant_of
from regulars.query.backends import Backends
from regulars.query.field_metadata import field_metadata
from regulars.query.parser.request import parse_field_metadata_request
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups.snapshots import profiles_with_new_memberships, recount, slot, take
from reports.source_rows import fetch_timeseries_rows
from reports.test_maintenance import differences


async def seen(club: Club, *fields: str, interval: str = "1h", hours: int = 6, width: int = 1) -> dict[Any, Any]:
    """The number of members by what they are and how many buckets ago, where there was a snapshot."""
    last = club.clock.at.replace(minute=0, second=0, microsecond=0)
    if interval == "1d":
        last = last.replace(hour=0)
    starts = [last - timedelta(hours=width * each) for each in reversed(range(hours))]
    ends = [each + timedelta(hours=width) for each in starts]
    params = ("members_count_snapshot", fields, interval, starts, ends)
    rows = await fetch_timeseries_rows(club.database, club.community.id, *params)
    return {
        (*(row[field] for field in fields), (last - row["bucket"]) // timedelta(hours=width)): row["members_count"]
        for row in rows
        if not fields or row["members_count"]
    }


def test_a_snapshot_has_the_time_of_the_current_quarter_hour() -> None:
    assert slot(datetime(2026, 11, 1, 10, 14, 59, tzinfo=UTC)) == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert slot(datetime(2026, 11, 1, 10, 45, tzinfo=UTC)) == datetime(2026, 11, 1, 10, 45, tzinfo=UTC)


async def test_the_last_snapshot_of_each_bucket_counts(club: Club) -> None:
    one = await create_profile(club, gender="female", joined_at="2020-01-01 00:00:00")
    assert await take(club.database, club.community.id) == 1
    assert await seen(club) == {(0,): 1}
    club.clock.advance(minutes=45)
    await create_profile(club, gender="male")
    assert await take(club.database, club.community.id) == 1
    assert await take(club.database, club.community.id) == 0
    assert await seen(club) == {(0,): 2}
    club.clock.advance(hours=2)
    await update_profile(club, one["id"], gender="male")
    await take(club.database, club.community.id)
    # There was no snapshot in the hour before, and none is stored now.
    assert await seen(club) == {(2,): 2, (0,): 2}
    assert await seen(club, "gender") == {("female", 2): 1, ("male", 2): 1, ("male", 0): 2}


async def test_a_purge_removes_a_member_from_every_snapshot(club: Club) -> None:
    one = await create_profile(club, gender="female")
    await create_profile(club, gender="female")
    for _ in range(3):
        await take(club.database, club.community.id)
        club.clock.advance(hours=1)
    await update_profile(club, one["id"], gender="male")
    await take(club.database, club.community.id)
    assert await seen(club) == {(3,): 2, (2,): 2, (1,): 2, (0,): 2}
    await club.http.delete(f"/api/v3/profiles/{one['id']}/purge")
    assert await seen(club) == {(3,): 1, (2,): 1, (1,): 1, (0,): 1}
    assert await seen(club, "gender") == {("female", each): 1 for each in range(4)}
    assert await take(club.database, club.community.id) == 0


async def test_an_age_changes_with_the_day(club: Club) -> None:
    await create_profile(club, birth_year=2006, birth_month=11, birth_day=2)
    await take(club.database, club.community.id)
    assert await seen(club, "age") == {("15-19", 0): 1}
    club.clock.advance(days=1)
    await take(club.database, club.community.id)
    assert await seen(club, "age", hours=2) == {("20-24", 0): 1}


async def test_a_recount_before_the_first_snapshot_of_a_day_counts_the_age_of_that_day(club: Club) -> None:
    one = await create_profile(club, birth_year=2006, birth_month=11, birth_day=2, joined_at="2026-10-30 10:00:00")
    await take(club.database, club.community.id)
    club.clock.advance(hours=24, minutes=5)
    async with club.database.write_transaction(club.community.id) as scope:
        await recount(scope, [UUID(one["id"])])
    assert await differences(club) == []
    await take(club.database, club.community.id)
    assert await seen(club, "age", hours=1) == {("20-24", 0): 1}
    assert await differences(club) == []


async def test_backfilled_memberships_are_counted_in_past_snapshots(club: Club) -> None:
    first = await create_profile(club, birth_year=2006, birth_month=10, birth_day=30, joined_at="2026-10-28 10:00:00")
    left = await create_profile(club, joined_at="2026-10-29 10:00:00")
    await club.http.delete(f"/api/v3/profiles/{left['id']}")
    await take(club.database, club.community.id)
    async with club.database.write_transaction(club.community.id) as scope:
        came = await profiles_with_new_memberships(scope, [UUID(each["id"]) for each in (first, left)])
        assert len(came) == 2
        await recount(scope, came)
    days = {"interval": "1d", "hours": 6, "width": 24}
    assert await seen(club, **days) == {(4,): 1, (3,): 2, (2,): 2, (1,): 2, (0,): 1}  # type: ignore[arg-type]
    ages = await seen(club, "age", **days)  # type: ignore[arg-type]
    assert {key: n for key, n in ages.items() if key[0]} == {
        ("15-19", 4): 1, ("15-19", 3): 1, ("20-24", 2): 1, ("20-24", 1): 1, ("20-24", 0): 1,
    }  # fmt: skip
    assert await take(club.database, club.community.id) == 0


@pytest.mark.parametrize(
    ("report", "field"), [("members_count_snapshot", "gender"), ("members_count_history", "grouping_value")]
)
async def test_field_metadata_count_a_member_of_several_months_once(club: Club, report: str, field: str) -> None:
    for gender in ("female", "male", "female", "female"):
        await create_profile(club, gender=gender, joined_at="2026-01-01 00:00:00")
    for _ in range(3):
        await take(club.database, club.community.id)
        club.clock.advance(days=31)
    body = {"report": report, "field": field, "from": "2026-11-01", "to": "2027-01-31"}
    query = parse_field_metadata_request(json.dumps(body).encode(), REPORTS_BY_NAME)

    async def genders(min_cell_size: int | None) -> dict[str, int]:
        tenant = tenant_of(club, min_cell_size)
        found = await field_metadata(query, [tenant], Backends(club.database), club.clock())
        return {each["value"]: each["count"] for each in found["values"] if each["value"] in ("female", "male")}

    assert await genders(None) == {"female": 3, "male": 1}
    if report == "members_count_snapshot":
        # Their only man is hidden, in however many months he is counted.
        assert await genders(2) == {"female": None}
