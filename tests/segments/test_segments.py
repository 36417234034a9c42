"""Segments over HTTP: definitions, their versions, counts and members."""

from __future__ import annotations

from typing import Any

import pytest

from api.profile_calls import create_profile, update_profile
from clubs import Club
from regulars.query.parser import filters
from segments.segment_client import MEN, WOMEN, SegmentClient, all_of, in_segment, negated, segment_client


async def create_members(club: Club, *genders: str | None) -> list[int]:
    """Creates members of these genders, and returns their ids."""
    return [(await create_profile(club, gender=each))["member_id"] for each in genders]


async def test_a_segment_is_created_read_listed_changed_and_deleted(client: SegmentClient) -> None:
    created = await client.create("women", WOMEN, description="All women.")
    assert created == {
        "name": "women",
        "community_id": client.club.community.id,
        "description": "All women.",
        "filter": WOMEN,
        "version": 1,
        "state": "computing",
        "problem": None,
        "known_since": None,
        "created_at": "2026-11-01T00:00:00.000000Z",
        "updated_at": "2026-11-01T00:00:00.000000Z",
    }
    assert await client.get("/women") == {"segment": created}
    assert await client.get() == {"segments": [created]}
    client.club.clock.advance(hours=1)
    changed = await client.send("PUT", "/women", {"filter": MEN})
    expected = created | {"filter": MEN, "version": 2, "updated_at": "2026-11-01T01:00:00.000000Z"}
    assert changed.json() == {"segment": expected}
    deleted = await client.send("DELETE", "/women")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert await client.get() == {"segments": []}
    assert (await client.send("GET", "/women")).status_code == 404


async def test_the_filter_is_returned_as_it_was_sent(client: SegmentClient) -> None:
    filter_ = {"value": 1.50, "field": "aggregations.spend_12m", "type": "greated_than"}
    assert (await client.create("big", filter_))["filter"] == filter_
    answer = await client.send("GET", "/big")
    assert b'{"value":1.5,"field":"aggregations.spend_12m","type":"greated_than"}' in answer.content


async def test_versions_record_who_changed_what_when(client: SegmentClient) -> None:
    await client.create("women", WOMEN)
    await client.create("others", negated(in_segment("women")))
    client.club.clock.advance(hours=1)
    await client.send("PUT", "/women", {"filter": MEN})
    # The same filter and a new description are no new version.
    await client.send("PUT", "/women", {"filter": MEN, "description": "Men, in fact."})
    versions = (await client.get("/women/versions"))["versions"]
    assert [(each["version"], each["filter"], each["cause"]) for each in versions] == [
        (2, MEN, "changed"),
        (1, WOMEN, "created"),
    ]
    assert versions[1]["started_at"] == "2026-11-01T00:00:00.000000Z"
    assert versions[1]["ended_at"] == versions[0]["started_at"] == "2026-11-01T01:00:00.000000Z"
    assert {each["organization_id"] for each in versions} == {client.club.community.organization_id}
    assert all(each["token_id"] for each in versions)
    # A segment that is defined by another one changes with it.
    causes = [each["cause"] for each in (await client.get("/others/versions"))["versions"]]
    assert causes == ["segment women changed", "created"]


async def test_count_and_members_are_exact_at_any_moment(club: Club, client: SegmentClient) -> None:
    ids = await create_members(club, "female", "male", "female", None)
    await client.create("women", WOMEN)
    await client.create("not-women", negated(in_segment("women")))
    assert (await client.get("/women/count")) == {"members_count": 2, "at": "2026-11-01T00:00:00.000000Z"}
    assert await client.member_ids("women") == [ids[0], ids[2]]
    assert await client.member_ids("not-women") == [ids[1], ids[3]]
    profile = await create_profile(club, gender="female")
    assert (await client.get("/women/count"))["members_count"] == 3
    await update_profile(club, str(profile["id"]), gender="male")
    assert (await client.get("/women/count"))["members_count"] == 2
    assert await client.member_ids("not-women") == [ids[1], ids[3], profile["member_id"]]


async def test_members_are_listed_in_pages(club: Club, client: SegmentClient) -> None:
    ids = await create_members(club, *["female"] * 5)
    await client.create("women", WOMEN)
    found: list[int] = []
    cursor = None
    while found == [] or cursor is not None:
        page = await client.get("/women/members", limit=2, **({} if cursor is None else {"page_info": cursor}))
        found += [each["id"] for each in page["records"]]
        cursor = page["pagination"]["next_page_info"]
    assert found == ids
    assert await client.errors("GET", "/women/members", limit=0)
    assert await client.errors("GET", "/women/members", limit="many")
    assert await client.errors("GET", "/women/members", page_info="forged")


async def test_reports_of_members_filter_by_segments(club: Club, client: SegmentClient) -> None:
    ids = await create_members(club, "female", "male", None)
    await client.create("women", WOMEN)
    for report in ("members", "member_aggregations"):
        records = (await client.query(report, filter=in_segment("women"))).json()["records"]
        assert [each["id"] for each in records] == ids[:1]
    counted = await client.query("members_count", filter=negated(in_segment("women")), aggregate_by="by_gender")
    assert counted.json()["records"] == [
        {"gender": None, "members_count": 1},
        {"gender": "male", "members_count": 1},
    ]


async def test_the_overlap_of_two_segments(club: Club, client: SegmentClient) -> None:
    await create_members(club, "female", "female", "male")
    await client.create("women", WOMEN)
    await client.create("all", {"type": "not_equal", "field": "gender", "value": None})
    assert await client.get("/women/overlap/all") == {
        "both": 2,
        "only_first": 0,
        "only_second": 1,
        "at": "2026-11-01T00:00:00.000000Z",
    }
    assert (await client.send("GET", "/women/overlap/none")).status_code == 404


# Errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"filter": WOMEN}, ("name",), "presence"),
        ({"name": "women"}, ("filter",), "presence"),
        ({"name": "Women!", "filter": WOMEN}, ("name",), "invalid"),
        ({"name": "w" * 65, "filter": WOMEN}, ("name",), "too_long"),
        ({"name": 7, "filter": WOMEN}, ("name",), "not_a_string"),
        ({"name": "women", "description": "\0", "filter": WOMEN}, ("description",), "invalid_characters"),
        ({"name": "women", "filter": WOMEN, "color": "red"}, ("color",), "unknown"),
        ({"name": "women", "filter": WOMEN | {"field": "hair"}}, ("filter", "field"), "inclusion"),
        ({"name": "women", "filter": in_segment("missing")}, ("filter", "segment"), "inclusion"),
        ({"name": "women", "filter": {"type": "in_segment"}}, ("filter", "segment"), "presence"),
        ({"name": "women", "filter": in_segment("women")}, ("filter",), "circular"),
        ({"name": "women", "filter": {**WOMEN, "value": "x" * 300_000}}, ("filter",), "too_long"),
        (
            {"name": "women", "filter": all_of(MEN, {"type": "in", "field": "age", "value": ["7"]})},
            ("filter", "operations", "1", "value", "0"),
            "inclusion",
        ),
    ],
)
async def test_an_invalid_definition_is_rejected(
    client: SegmentClient, body: Any, path: tuple[str, ...], code: str
) -> None:
    details = await client.errors("POST", "", body)
    for step in path:
        details = details[step]
    assert [each["error"] for each in details] == [code]


async def test_a_name_is_unique_in_its_community(client: SegmentClient) -> None:
    await client.create("women", WOMEN)
    assert (await client.errors("POST", "", {"name": "women", "filter": MEN}))["name"][0]["error"] == "taken"


async def test_segments_may_not_be_defined_in_a_circle(client: SegmentClient) -> None:
    await client.create("women", WOMEN)
    await client.create("regulars", all_of(in_segment("women"), MEN))
    details = await client.errors("PUT", "/women", {"filter": negated(in_segment("regulars"))})
    assert details["filter"][0]["message"] == (
        "Segments can't be defined by each other in a circle: regulars -> women -> regulars."
    )


async def test_segments_may_be_nested_five_levels_deep(client: SegmentClient) -> None:
    await client.create("s1", WOMEN)
    for level in range(2, 6):
        await client.create(f"s{level}", in_segment(f"s{level - 1}"))
    details = await client.errors("POST", "", {"name": "a6", "filter": in_segment("s5")})
    assert details["filter"][0]["error"] == "too_deep"
    assert (await client.get("/s5/count"))["members_count"] == 0
    # Neither may a definition below become deeper.
    await client.create("deeper", MEN)
    details = await client.errors("PUT", "/s1", {"filter": in_segment("deeper")})
    assert details["filter"][0]["error"] == "invalid_segment"


async def test_a_segment_that_others_use_can_not_be_deleted(client: SegmentClient) -> None:
    await client.create("women", WOMEN)
    await client.create("others", negated(in_segment("women")))
    details = await client.errors("DELETE", "/women")
    assert details["name"][0] == {
        "error": "used",
        "options": {"by": ["others"]},
        "message": "The segment 'women' is used by the segments others. Change them first.",
    }


async def test_a_request_about_one_segment_names_one_community(club: Club, client: SegmentClient) -> None:
    answer = await client.send("GET", "/women", customer="id=1_2")
    assert answer.status_code == 403
    assert (await client.send("GET", "/women")).status_code == 404


async def test_permits_are_required(club: Club) -> None:
    reader = await segment_client(club, ("Reporting:Api:Segment:Read",))
    answer = await reader.send("POST", "", {"name": "women", "filter": WOMEN})
    assert answer.status_code == 403
    assert "Reporting:Api:Segment:Write" in answer.json()["error"]
    assert (await reader.get())["segments"] == []
    await (await segment_client(club)).create("a", WOMEN)
    await (await segment_client(club)).create("b", MEN)
    for path, permit in (("count", "MembersCount"), ("members", "Members"), ("overlap/b", "MembersCount")):
        answer = await reader.send("GET", f"/a/{path}")
        assert f"Reporting:Api:Report:{permit}" in answer.json()["error"]


async def test_an_empty_community_has_no_members_in_any_segment(client: SegmentClient) -> None:
    await client.create("either", {"type": "or", "operations": [WOMEN, MEN]})
    assert (await client.get("/either/count"))["members_count"] == 0


async def test_the_nodes_of_all_segments_of_a_filter_are_limited(
    club: Club, client: SegmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.create("women", WOMEN)
    monkeypatch.setattr(filters, "MAX_SEGMENT_NODES", 1)
    answer = await client.query("members", filter=all_of(in_segment("women"), in_segment("women")))
    assert answer.status_code == 422
    assert "Segments too large: more than 1 nodes" in answer.text
