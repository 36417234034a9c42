"""How many members stand in each group: exact at any time, compacted or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from clubs import Club, ManualClock, create_club
from query.replica_client import tenant_of
from regulars.model.community import NewCommunity
from regulars.query.backends import Backends
from regulars.query.formats.timeseries import MAX_POINTS, timeseries
from regulars.query.parser.request import parse_query
from regulars.reports.member_counts import GROUPING_TYPES
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups.compaction import compact
from regulars.storage.database import Database

OSLO = "Europe/Oslo"


async def counts(club: Club) -> dict[tuple[str, str], int]:
    """The compacted and uncompacted numbers of all groups."""
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            """
            SELECT grouping_type, grouping_value, sum(delta)::bigint AS members_count
            FROM (
                SELECT grouping_type, grouping_value, members_count AS delta FROM group_counts WHERE community_id = $1
                UNION ALL
                SELECT grouping_type, grouping_value, delta FROM group_count_deltas WHERE community_id = $1
            ) AS every
            GROUP BY 1, 2
            """,
            club.community.id,
        )
    return {(row["grouping_type"], row["grouping_value"]): row["members_count"] for row in rows}


async def test_a_member_is_counted_in_its_groups(club: Club) -> None:
    answer = await club.http.post(
        "/api/v3/profiles",
        json={
            "gender": "female", "birth_year": 1987, "optin_channel": "iOS app", "consents": {"sms_marketing": True},
            "group_ids": [3, 4], "mobile_phone": "+4791234567", "joined_at": "2026-10-01 12:00:00",
        },
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    before = await counts(club)
    assert before["all", ""] == 1
    assert before["gender", "female"] == 1
    assert before["birth_year_group", "1985"] == 1
    assert before["optin_platform", "ios"] == 1
    assert before["country", "NO"] == 1
    assert await compact(club.database, club.community.id) > 0
    assert await counts(club) == before
    member = answer.json()["data"]["id"]
    answer = await club.http.delete(f"/api/v3/profiles/{member}")
    assert set((await counts(club)).values()) == {0}
    assert await compact(club.database, club.community.id) > 0
    assert set((await counts(club)).values()) == {0}


Value = tuple[str, str, str, int]
"""Of one group at the end of one bucket."""


async def history(club: Club, min_cell_size: int | None, **more: Any) -> tuple[list[Value], int, bool]:
    """150 days of groups: values in their order, how many series are hidden in part, whether something is left out."""
    now = club.clock.at
    days = {"interval": "1d", "from": (now - timedelta(days=149)).isoformat(), "to": now.isoformat()}
    query = parse_query(msgspec.json.encode({"report": "members_count_history", **days, **more}), REPORTS_BY_NAME)
    found = await timeseries(query, [tenant_of(club, min_cell_size)], Backends(club.database), now)
    values = [
        (each["label"]["grouping_type"], each["label"]["grouping_value"], bucket, value)
        for each in found["series"]
        for bucket, value in zip(found["time_buckets"], each["values"], strict=True)
        if value is not None
    ]
    return values, sum("masked" in each for each in found["series"]), "truncated" in found


@pytest.mark.parametrize(("min_cell_size", "is_hidden"), [(None, False), (2, True)])
async def test_a_truncated_history_equals_the_start_of_the_whole_one(
    club: Club, min_cell_size: int | None, is_hidden: bool
) -> None:
    for days, reported in (
        (200, {"gender": "female", "birth_year": 1987, "subunit_ids": [2, 10], "group_ids": [*range(8, 14)]}),
        (200, {"gender": "female", "birth_year": 1951, "subunit_ids": [2, 10, 3], "optin_channel": "web"}),
        (90, {"gender": "male", "birth_year": 1951, "subunit_ids": [10, 3, 7], "optin_channel": "web"}),
        (1, {"gender": "female", "birth_year": 1987, "subunit_ids": [7, 1], "optin_channel": "web"}),
    ):
        joined = club.clock.at - timedelta(days=days)
        answer = await club.http.post("/api/v3/profiles", json={**reported, "joined_at": f"{joined:%Y-%m-%d %H:%M:%S}"})
        assert answer.status_code == 201, answer.text
        if days == 90:
            await compact(club.database, club.community.id)
    every: list[Value] = []
    groups = [each for each in await counts(club) if each[0] != "all"]
    for name, value in sorted(groups, key=lambda each: (GROUPING_TYPES.index(each[0]), each[1])):
        of_group = [
            {"type": "equal", "field": "grouping_type", "value": name},
            {"type": "equal", "field": "grouping_value", "value": value},
        ]
        values, _, is_cut = await history(club, min_cell_size, filter={"type": "and", "operations": of_group})
        assert not is_cut
        every += values
    # More than are made of one community, where some are not.
    assert len(every) > (MAX_POINTS if is_hidden else 2 * (MAX_POINTS + 1))
    values, masked, is_cut = await history(club, min_cell_size)
    assert values == every[:MAX_POINTS]
    assert is_cut
    assert (masked > 0) == is_hidden


async def test_all_groups_are_in_a_history_that_starts_in_a_repeated_hour(
    database: Database, clock: ManualClock
) -> None:
    clock.at = datetime(2026, 10, 26, tzinfo=UTC)
    new = [NewCommunity(f"repeated-{zone[:4].lower()}", "Happy", "NO", zone, "NOK") for zone in (OSLO, "Asia/Kolkata")]
    async for oslo in create_club(database, clock, new[0]):
        async for kolkata in create_club(database, clock, new[1]):
            # Of the buckets from the first 02:55 to the second one, two are requested, and eleven are not.
            groups = [*range(1, 301)]
            body = {"joined_at": "2026-10-01 12:00:00", "group_ids": groups}
            answer = await oslo.http.post("/api/v3/profiles", json=body)
            assert answer.status_code == 201, answer.text
            at = "2026-10-25T02:55"
            body = {"report": "members_count_history", "interval": "5m", "from": at, "to": at}
            query = parse_query(msgspec.json.encode(body), REPORTS_BY_NAME)
            tenants = [tenant_of(oslo), tenant_of(kolkata)]
            result = await timeseries(query, tenants, Backends(database), clock())
            counted = [each for each in result["series"] if each["label"]["grouping_type"] == "group_id"]
            assert [each["values"] for each in counted] == [[1]] * len(groups)
