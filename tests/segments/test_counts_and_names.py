"""Segments are renamed, counted in lists, and counted at past instants."""

from __future__ import annotations

from datetime import timedelta

from api.profile_calls import create_profile
from api.transaction_client import create_transaction, sale
from clubs import Club
from segments.segment_client import MEN, WOMEN, SegmentClient, in_segment, segment_client
from segments.test_membership import maintain

BUYERS = {"type": "greater_than", "field": "aggregations.shop_count", "value": 0}


async def test_a_segment_is_renamed_unless_its_name_is_taken_or_used(club: Club, client: SegmentClient) -> None:
    await create_profile(club, gender="female")
    await client.create("women", WOMEN)
    await client.create("men", MEN)
    answer = await client.send("PUT", "/women", {"name": "ladies", "description": "All"})
    found = answer.json()["segment"]
    assert (found["name"], found["description"], found["version"]) == ("ladies", "All", 1)
    assert (await client.get("/ladies/count"))["members_count"] == 1
    assert (await client.send("GET", "/women")).status_code == 404
    assert (await client.send("PUT", "/ladies", {"name": "ladies"})).status_code == 200
    assert "exists" in str(await client.errors("PUT", "/ladies", {"name": "men"}))
    await client.errors("PUT", "/ladies", {"name": "Not a name"})
    await client.create("both", in_segment("men"))
    assert "is used by the segments both" in str(await client.errors("PUT", "/men", {"name": "gentlemen"}))


async def test_a_list_counts_the_segments_that_are_named(club: Club, client: SegmentClient) -> None:
    for gender in ("female", "female", "male"):
        await create_profile(club, gender=gender)
    for name, tree in (("women", WOMEN), ("men", MEN), ("buyers", BUYERS)):
        await client.create(name, tree)
    listed = {each["name"]: each for each in (await client.get("", count="women, men,unknown"))["segments"]}
    assert (listed["women"]["members_count"], listed["men"]["members_count"]) == (2, 1)
    assert "members_count" not in listed["buyers"]
    await client.errors("GET", "", count=",".join(f"s{n}" for n in range(51)))
    stranger = await segment_client(club, ("Reporting:Api:Segment:Read",))
    assert (await stranger.send("GET", "", count="women")).status_code == 403
    assert (await stranger.send("GET", "")).status_code == 200


async def test_counts_at_past_instants_are_those_of_the_memberships(club: Club, client: SegmentClient) -> None:
    start = club.clock.at
    profiles = [(await create_profile(club))["id"] for _ in range(3)]
    await client.create("buyers", BUYERS)
    before = await client.get("/buyers/count/history", **{"from": (start - timedelta(days=1)).isoformat()})
    assert {each["members_count"] for each in before["counts"]} == {None}
    await maintain(club)
    sales = []
    for day, profile in enumerate(profiles, 1):
        club.clock.at = start + timedelta(days=day)
        body = sale(100, "2026-10-01 12:00:00", profile_id=profile)
        sales.append((await create_transaction(club, body))["id"])
    club.clock.at = start + timedelta(days=5)
    assert (await club.http.delete(f"/api/v3/transactions/{sales[0]}")).status_code == 204
    club.clock.at = start + timedelta(days=6)
    query = {
        "from": (start - timedelta(days=1)).isoformat(),
        "to": (start + timedelta(days=6)).isoformat(),
        "points": 15,
    }
    found = (await client.get("/buyers/count/history", **query))["counts"]
    assert [each["members_count"] for each in found] == [None, None, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 2, 2, 2]
    for each in found[2:]:
        assert (await client.get("/buyers/count", at=each["at"]))["members_count"] == each["members_count"]
    # A new version is unknown until it is computed.
    await client.send("PUT", "/buyers", {"filter": WOMEN})
    found = (await client.get("/buyers/count/history", **query))["counts"]
    assert [each["members_count"] for each in found][-3:] == [2, 2, None]


async def test_invalid_ranges_are_rejected(club: Club, client: SegmentClient) -> None:
    await client.create("buyers", BUYERS)
    for query in (
        {},
        {"from": "yesterday"},
        {"from": "2030-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"},
        *({"from": "2026-01-01T00:00:00Z", "points": points} for points in ("1", "201", "x")),
    ):
        await client.errors("GET", "/buyers/count/history", **query)
