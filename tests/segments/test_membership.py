"""Memberships of segments are stored in the commit that changes them, with events, and known at past instants."""

from __future__ import annotations

from typing import Any

import pytest

from api.profile_calls import create_profile, update_profile
from api.transaction_client import create_transaction, sale
from clubs import Club
from regulars.jobs.maintain_segments import SegmentMaintenance
from regulars.jobs.refresh_due import refresh_community
from regulars.verify.verify import verify
from segments.segment_client import REGULARS, WOMEN, SegmentClient, all_of, in_segment


async def maintain(club: Club) -> None:
    """Runs the job that maintains segments."""
    assert await SegmentMaintenance(club.database).run_community(club.community.id) == 0


async def listen(club: Club) -> None:
    """Creates a webhook that listens to segments."""
    body = {"trigger": "segment.*", "url": "https://example.com/hook"}
    assert (await club.http.post("/api/v3/webhooks", json=body)).status_code == 201


async def events(club: Club) -> list[tuple[str, str, str]]:
    """The events of segments so far: type, profile and segment."""
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT type, profile_id::text AS profile_id, subject_id FROM webhook_events WHERE community_id = $1"
            " AND type LIKE 'segment.%' ORDER BY id",
            club.community.id,
        )
    return [tuple(row) for row in rows]


async def test_a_purchase_enters_and_its_deletion_leaves(club: Club, client: SegmentClient) -> None:
    profile = await create_profile(club, gender="female")
    await client.create("regulars", REGULARS)
    await maintain(club)
    await listen(club)
    assert (await client.get("/regulars"))["segment"]["state"] == "active"
    first = await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=profile["id"]))
    assert await events(club) == []
    club.clock.advance(hours=1)
    await create_transaction(club, sale(100, "2026-10-02 12:00:00", profile_id=profile["id"]))
    assert await events(club) == [("segment.entered", profile["id"], "regulars")]
    club.clock.advance(hours=1)
    await club.http.delete(f"/api/v3/transactions/{first['id']}")
    assert await events(club) == [
        ("segment.entered", profile["id"], "regulars"),
        ("segment.left", profile["id"], "regulars"),
    ]
    club.clock.advance(hours=1)
    counts = [
        (await client.get("/regulars/count", at=f"2026-11-01T0{hour}:00:00Z"))["members_count"] for hour in range(4)
    ]
    assert counts == [0, 1, 0, 0]
    members = [await client.member_ids("regulars", at=f"2026-11-01T0{hour}:00:00Z") for hour in range(3)]
    assert members == [[], [profile["member_id"]], []]


async def test_the_first_memberships_are_no_events(club: Club, client: SegmentClient) -> None:
    await listen(club)
    women = [await create_profile(club, gender="female") for _ in range(3)]
    await client.create("women", WOMEN)
    # Meanwhile commits store memberships, without events.
    late = await create_profile(club, gender="female")
    details = await client.errors("GET", "/women/count", at="2026-11-01T00:00:00Z")
    assert details["at"][0]["error"] == "unknown"
    club.clock.advance(hours=1)
    await maintain(club)
    assert await events(club) == []
    ids = {each["member_id"] for each in (*women, late)}
    assert {*await client.member_ids("women", at="2026-11-01T01:00:00Z")} == ids
    details = await client.errors("GET", "/women/members", at="2026-11-01T00:59:00Z")
    assert details["at"][0]["message"] == "The memberships of the segment are known since 2026-11-01T01:00:00.000000Z."


async def test_a_new_version_starts_without_events(club: Club, client: SegmentClient) -> None:
    profile = await create_profile(club, gender="female")
    await client.create("segment", WOMEN)
    await maintain(club)
    await listen(club)
    club.clock.advance(hours=1)
    await client.send("PUT", "/segment", {"filter": {"type": "not_equal", "field": "gender", "value": "female"}})
    club.clock.advance(hours=1)
    await maintain(club)
    assert await events(club) == []
    assert await client.member_ids("segment", at="2026-11-01T00:30:00Z") == [profile["member_id"]]
    assert await client.member_ids("segment", at="2026-11-01T02:00:00Z") == []
    details = await client.errors("GET", "/segment/count", at="2026-11-01T01:30:00Z")
    assert "new version" in details["at"][0]["message"]
    await update_profile(club, profile["id"], gender="male")
    assert await events(club) == [("segment.entered", profile["id"], "segment")]


async def test_the_clock_enters_and_leaves(club: Club, client: SegmentClient) -> None:
    await client.create("lost", {"type": "in", "field": "aggregations.dimension_recency", "value": ["RI"]})
    await maintain(club)
    await listen(club)
    profile = await create_profile(club)
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=profile["id"]))
    seen: list[int] = []
    for _ in range(40):
        club.clock.advance(days=15)
        await refresh_community(club.database, club.community.id, lambda: False)
        seen.append(len(await events(club)))
        assert seen[-1] == (await client.get("/lost/count"))["members_count"]
    assert seen[0] == 0
    assert seen[-1] == 1


async def test_a_birthday_enters(club: Club, client: SegmentClient) -> None:
    await client.create("twenty", {"type": "equal", "field": "age", "value": "20-24"})
    await maintain(club)
    await listen(club)
    born = {"birth_year": 2006, "birth_month": 11, "birth_day": 3}
    profile = await create_profile(club, **born)
    for day in range(1, 5):
        await maintain(club)
        expected = [] if day < 3 else [("segment.entered", profile["id"], "twenty")]
        assert await events(club) == expected
        assert (await client.get("/twenty/count"))["members_count"] == len(expected)
        club.clock.advance(days=1)


@pytest.mark.parametrize("path", ["purge", ""])
async def test_a_removed_member_is_in_no_segment(club: Club, client: SegmentClient, path: str) -> None:
    profile = await create_profile(club, gender="female")
    await client.create("women", WOMEN)
    await maintain(club)
    await listen(club)
    club.clock.advance(hours=1)
    url = f"/api/v3/profiles/{profile['id']}"
    answer = await club.http.delete(f"{url}/{path}" if path else url)
    assert answer.status_code in (200, 204), answer.text
    assert await events(club) == ([] if path else [("segment.left", profile["id"], "women")])
    assert (await client.get("/women/count", at="2026-11-01T01:00:00Z"))["members_count"] == 0
    assert (await client.get("/women/count", at="2026-11-01T00:30:00Z"))["members_count"] == (0 if path else 1)


async def test_a_merged_member_leaves_and_the_other_may_enter(club: Club, client: SegmentClient) -> None:
    first, second = [await create_profile(club, gender="female") for _ in range(2)]
    for profile, day in ((first, 1), (second, 2)):
        await create_transaction(club, sale(100, f"2026-10-0{day} 12:00:00", profile_id=profile["id"]))
    await client.create("women", WOMEN)
    await client.create("regular-women", all_of(in_segment("women"), REGULARS))
    await maintain(club)
    await listen(club)
    body = {"source_profile_id": first["id"], "destination_profile_id": second["id"]}
    answer = await club.http.post("/api/v3/profiles/merge", json=body)
    assert answer.status_code == 200, answer.text
    assert sorted(await events(club)) == sorted(
        [("segment.left", first["id"], "women"), ("segment.entered", second["id"], "regular-women")]
    )


async def test_a_deleted_segment_loses_its_memberships(club: Club, client: SegmentClient) -> None:
    await create_profile(club, gender="female")
    await client.create("women", WOMEN)
    await maintain(club)
    await client.send("DELETE", "/women")
    assert (await client.create("women", WOMEN))["version"] == 1
    await maintain(club)
    await client.send("DELETE", "/women")
    await maintain(club)
    rows: list[Any] = []
    async with club.database.read_transaction(club.community.id) as scope:
        for table in ("segments", "segment_versions", "segment_memberships"):
            rows += await scope.fetch(f"SELECT * FROM {table} WHERE community_id = $1", club.community.id)
        version = await scope.fetchval("SELECT segments_version FROM communities WHERE id = $1", club.community.id)
    assert rows == []
    assert version is None


async def test_verification_recomputes_memberships(club: Club, client: SegmentClient) -> None:
    women = [await create_profile(club, gender="female", birth_year=2004) for _ in range(2)]
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=women[0]["id"]))
    await client.create("women", WOMEN)
    await client.create("twenty", {"type": "equal", "field": "age", "value": "20-24"})
    await client.create("buyers", {"type": "greater_than", "field": "aggregations.spend_12m", "value": 99.5})
    await client.create("early", {"type": "less_than", "field": "aggregations.spend_last_date", "value": "2026-10-02"})
    await maintain(club)
    assert await discrepancies(club) == []
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "DELETE FROM segment_memberships WHERE community_id = $1 AND profile_id = $2",
            club.community.id,
            women[0]["id"],
        )
        version = await scope.fetchval(
            "SELECT version_id FROM segments WHERE community_id = $1 AND name = 'buyers'", club.community.id
        )
        await scope.execute(
            "INSERT INTO segment_memberships VALUES ($1, $2, $3, $4)",
            club.community.id,
            women[1]["id"],
            version,
            scope.now,
        )
    found = {
        *(f"profile {women[0]['id']}: segment {name} is stored as False, expected True" for name in EVERY_SEGMENT),
        f"profile {women[1]['id']}: segment buyers is stored as True, expected False",
    }
    assert {*await discrepancies(club)} == found
    # The day has changed, and birthdays are not evaluated yet.
    club.clock.advance(days=1)
    assert {*await discrepancies(club)} == {each for each in found if "twenty" not in each}


EVERY_SEGMENT = ("women", "twenty", "buyers", "early")


async def discrepancies(club: Club) -> list[str]:
    """What `regulars verify` finds."""
    return [str(each) async for each in verify(club.database, club.community.id) if not isinstance(each, int)]
