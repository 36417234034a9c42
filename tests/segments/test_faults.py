"""Segments that can't be evaluated, many segments, several communities, small groups, and commits that run for long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import structlog

from api.profile_calls import create_profile, update_profile
from clubs import Club
from regulars.auth import organizations
from regulars.ingest.commit import commit
from regulars.jobs.maintain_segments import SegmentMaintenance
from regulars.model.unit_of_work import UnitOfWork
from regulars.query.query import Comparison, LogicalNode, SegmentReference, resolve_segments
from regulars.reports.member_fields import MEMBER_FIELDS
from regulars.reports.members import MEMBERS
from regulars.segments import candidates, changes, definitions, membership
from regulars.segments.invalid import list_invalid
from segments.segment_client import MEN, WOMEN, SegmentClient, all_of, in_segment, negated, segment_client
from segments.test_membership import events, listen, maintain


@pytest.fixture
def without_gender() -> Iterator[pytest.MonkeyPatch]:
    """Removes a field of members, as a release might."""
    fields = tuple(each for each in MEMBERS.fields if each.name != "gender")
    with pytest.MonkeyPatch.context() as patch:
        parse = partial(definitions.parse_filters, report=replace(MEMBERS, fields=fields))
        patch.setattr(definitions, "parse_filters", parse)
        definitions.clear_cache()
        yield patch
    definitions.clear_cache()


async def test_a_segment_of_a_removed_field_is_invalid_and_affects_nothing_else(
    club: Club, client: SegmentClient, request: pytest.FixtureRequest
) -> None:
    await client.create("women", WOMEN)
    await client.create("others", negated(in_segment("women")))
    named = {"type": "equal", "field": "optin_channel", "value": "web"}
    await client.create("web", named)
    await maintain(club)
    await listen(club)
    patch: pytest.MonkeyPatch = request.getfixturevalue("without_gender")
    profile = await create_profile(club, gender="female", optin_channel="web")
    assert await events(club) == [("segment.entered", profile["id"], "web")]
    for name, problem in (
        ("women", "filter.field: Unknown field 'gender'"),
        ("others", "Segment 'women' can't be evaluated"),
    ):
        segment = (await client.get(f"/{name}"))["segment"]
        assert segment["state"] == "invalid"
        assert problem in segment["problem"]
        assert (await client.errors("GET", f"/{name}/count"))["segment"][0]["error"] == "invalid_segment"
    answer = await client.query("members", filter=in_segment("women"))
    assert answer.json()["details"]["filter"]["segment"][0]["error"] == "invalid_segment"
    invalid = [each for each in await list_invalid(club.database) if each.community == club.community.slug]
    assert {each.name for each in invalid} == {"women", "others"}
    assert all("filter.field: Unknown field 'gender'" in each.problem for each in invalid)
    with structlog.testing.capture_logs() as logs:
        await maintain(club)
        await maintain(club)
    assert [(each["event"], each["segment"]) for each in logs] == [
        ("segment.invalid", "others"),
        ("segment.invalid", "women"),
    ]
    # The field is there again.
    patch.undo()
    definitions.clear_cache()
    await maintain(club)
    for name in ("women", "others"):
        assert (await client.get(f"/{name}"))["segment"]["state"] == "active"
        assert (await client.get(f"/{name}/versions"))["versions"][0]["cause"] == "valid again"
    assert len(await events(club)) == 1
    await update_profile(club, profile["id"], gender="male")
    assert {*(await events(club))[1:]} == {
        ("segment.left", profile["id"], "women"),
        ("segment.entered", profile["id"], "others"),
    }


async def test_any_number_of_segments_is_evaluated_by_several_statements(
    club: Club, client: SegmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "MAX_NODES_PER_STATEMENT", 2)
    monkeypatch.setattr(membership, "MAX_PROFILES_PER_STATEMENT", 1)
    monkeypatch.setattr(candidates, "MAX_PROFILES", 2)
    profiles = [await create_profile(club, gender="female") for _ in range(3)]
    for number in range(5):
        await client.create(f"segment-{number}", all_of(WOMEN, negated(MEN)))
    await maintain(club)
    club.clock.advance(hours=1)
    for number in range(5):
        assert (await client.get(f"/segment-{number}/count", at="2026-11-01T00:30:00Z"))["members_count"] == 3
        page = await client.get(f"/segment-{number}/members", at="2026-11-01T00:30:00Z", limit=2)
        cursor = page["pagination"]["next_page_info"]
        rest = await client.member_ids(f"segment-{number}", at="2026-11-01T00:30:00Z", limit=2, page_info=cursor)
        assert {*(each["id"] for each in page["records"]), *rest} == {each["member_id"] for each in profiles}
    await client.errors("GET", "/segment-0/members", at="2026-11-01T00:30:00Z", page_info="forged")
    assert (await client.errors("GET", "/segment-0/count", at="2999-01-01T00:00:00Z"))["at"]
    assert (await client.errors("GET", "/segment-0/count", at="yesterday"))["at"]


async def test_a_community_may_have_a_limited_number_of_segments(club: Club, client: SegmentClient) -> None:
    club.server.settings = replace(club.server.settings, max_segments=1)
    await client.create("women", WOMEN)
    details = await client.errors("POST", "", {"name": "men", "filter": MEN})
    assert details["name"][0]["message"] == "The community has 1 segments; at most 1 are allowed."


async def test_each_community_has_its_own_definition(club: Club, other_club: Club) -> None:
    first, second = await segment_client(club), await segment_client(other_club)
    await create_profile(club, gender="female")
    await create_profile(other_club, gender="female")
    await first.create("women", WOMEN)
    details = await second.query("members_count", filter=in_segment("women"))
    assert details.status_code == 422
    assert details.json()["details"]["filter"]["segment"][0]["error"] == "inclusion"
    await second.create("women", MEN)
    for client, number in ((first, 1), (second, 0)):
        found = (await client.query("members_count", filter=in_segment("women"))).json()["records"]
        assert [each["members_count"] for each in found] == [number]


def test_no_member_is_in_a_segment_that_a_community_does_not_define() -> None:
    gender = next(each for each in MEMBER_FIELDS if each.name == "gender")
    reference = SegmentReference("women", {7: Comparison("equal", gender, None, "female")})
    found = resolve_segments(LogicalNode("not", (reference,)), 8)
    assert isinstance(found, LogicalNode)
    assert found.nodes[0].value == ()  # type: ignore[union-attr]
    with pytest.raises(TypeError, match="not resolved"):
        _ = reference.nodes


async def test_small_counts_are_suppressed(club: Club, client: SegmentClient) -> None:
    for gender in ("female", "female", "male"):
        await create_profile(club, gender=gender)
    await client.create("women", WOMEN)
    await client.create("men", MEN)
    await maintain(club)
    async with club.database.unscoped_connection() as connection:
        await organizations.update(connection, club.community.slug, {"min_cell_size": 2})
    assert await client.get("/men/count") == {
        "members_count": None,
        "masked": True,
        "at": "2026-11-01T00:00:00.000000Z",
    }
    at = "2026-11-01T00:00:00Z"
    assert (await client.get("/men/count", at=at))["masked"]
    assert (await client.get("/women/count", at=at))["members_count"] == 2
    assert (await client.get("/women/overlap/men"))["masked"]


async def test_a_commit_that_began_before_a_segment_is_counted(club: Club, client: SegmentClient) -> None:
    """The commit evaluates the definitions that it found when it began; the first computation waits for it."""
    profile = await create_profile(club)
    began, may_end = asyncio.Event(), asyncio.Event()

    async def work(uow: UnitOfWork) -> None:
        began.set()
        await may_end.wait()
        await uow.execute(
            "UPDATE profiles SET gender = 'female' WHERE community_id = $1 AND profile_id = $2",
            uow.community_id,
            profile["id"],
        )
        uow.mark_member_dirty(UUID(profile["id"]), "profile.updated")

    running = asyncio.create_task(commit(club.database, club.community.id, work))
    await began.wait()
    await client.create("women", WOMEN)
    maintenance = SegmentMaintenance(club.database)
    assert await maintenance.run_community(club.community.id) == 1
    assert await maintenance.run() >= 1
    may_end.set()
    await running
    assert await maintenance.run_community(club.community.id) == 0
    found: list[Any] = await client.member_ids("women", at="2026-11-01T00:00:00Z")
    assert found == [profile["member_id"]]


async def test_another_process_maintains_the_community(club: Club, client: SegmentClient) -> None:
    await client.create("women", WOMEN)
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "SELECT pg_advisory_xact_lock(hashtext('regulars.segment_maintenance'), $1)", club.community.id
        )
        assert await SegmentMaintenance(club.database).run_community(club.community.id) == 1
    stopped = SegmentMaintenance(club.database, lambda: True)
    assert await stopped.run_community(club.community.id) == 1
    await maintain(club)


async def test_the_segments_of_a_community_have_a_limited_size(
    client: SegmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MAX_COMMUNITY_NODES", 1)
    await client.create("women", WOMEN)
    assert (await client.errors("POST", "", {"name": "men", "filter": MEN}))["filter"][0]["error"] == "too_many_nodes"


async def test_many_errors_of_a_filter_are_reported(client: SegmentClient) -> None:
    values = [{"type": "in", "field": "gender", "value": [1] * 200}]
    details = await client.errors("POST", "", {"name": "men", "filter": {"type": "or", "operations": values}})
    assert len(details["filter"]["operations"]["0"]["value"]) == 100


async def test_countries_of_purchases_have_three_letters(club: Club, client: SegmentClient) -> None:
    await create_profile(club)
    await client.create("abroad", {"type": "not_equal", "field": "aggregations.likely_country_iso", "value": "NOR"})
    await client.create("home", {"type": "equal", "field": "aggregations.likely_country", "value": "NOR"})
    await maintain(club)
    counts = [(await client.get(f"/{name}/count", at="2026-11-01"))["members_count"] for name in ("abroad", "home")]
    assert counts == [1, 0]
