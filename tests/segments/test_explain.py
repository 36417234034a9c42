"""Explanations of segments, and the segments of a profile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from api.profile_calls import create_profile
from api.transaction_client import create_transaction, sale
from clubs import Club
from regulars.auth import tokens
from regulars.auth.tokens import NewToken
from segments.segment_client import MEN, REGULARS, WOMEN, SegmentClient, all_of, in_segment, negated
from segments.test_membership import maintain

EVERY_KIND = {
    "type": "or",
    "operations": [
        all_of(in_segment("women"), negated(in_segment("regulars"))),
        {"type": "greater_than", "field": "aggregations.spend_12m", "value": 99.5},
        {"type": "equal", "field": "consents.sms_marketing", "value": False},
        {"type": "equal", "field": "properties.language", "value": "no"},
        {"type": "equal", "field": "age", "value": "20-24"},
        {"type": "contains", "field": "group_ids", "value": 7},
        {"type": "less_than", "field": "created_at", "value": "2026-11-01T00:00:00Z"},
        {"type": "not_equal", "field": "aggregations.discount_avg", "value": 12.5},
        {"type": "equal", "field": "aggregations.latest_shop_date", "value": None},
    ],
}


async def test_every_condition_is_explained_with_its_value(club: Club, client: SegmentClient) -> None:
    profile = await create_profile(
        club,
        gender="female",
        birth_year=2004,
        consents={"sms_marketing": True},
        properties={"language": "no"},
        group_ids=[7, 9],
    )
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=profile["id"]))
    await client.create("women", WOMEN)
    await client.create("regulars", REGULARS)
    await client.create("every-kind", EVERY_KIND)
    found = await client.get("/every-kind/explain", member=profile["member_id"])
    assert found == await client.get("/every-kind/explain", profile=profile["id"])
    explanation = found.pop("explanation")
    assert found == {
        "segment": "every-kind",
        "member_id": profile["member_id"],
        "profile_id": profile["id"],
        "is_member": True,
        "in_segment": True,
        "at": "2026-11-01T00:00:00.000000Z",
    }
    both, *others = explanation["operations"]
    assert both == {
        "type": "and",
        "operations": [
            {**in_segment("women"), "filter": WOMEN | {"actual": "female", "holds": True}, "holds": True},
            {
                "type": "not",
                "operation": {
                    **in_segment("regulars"),
                    "filter": REGULARS | {"actual": 1, "holds": False},
                    "holds": False,
                },
                "holds": True,
            },
        ],
        "holds": True,
    }
    assert [(each["actual"], each["holds"]) for each in others] == [
        (100, True),
        (True, False),
        ("no", True),
        ("20-24", True),
        ([7, 9], True),
        ("2026-11-01T00:00:00.000000Z", False),
        (others[6]["actual"], True),
        (others[7]["actual"], others[7]["actual"] is None),
    ]
    sent: list[Any] = EVERY_KIND["operations"]  # type: ignore[assignment]
    for each, original in zip(others, sent[1:], strict=True):
        assert {name: each[name] for name in original} == original


async def test_who_is_no_member_is_in_no_segment(club: Club, client: SegmentClient) -> None:
    profile = await create_profile(club, gender="female")
    await client.create("women", WOMEN)
    row = {"profile": profile["id"], "type": "out", "at": "2026-11-01T00:00:00Z"}
    answer = await club.http.post("/v1/import/memberships", json=row)
    assert answer.status_code == 200, answer.text
    found = await client.get("/women/explain", profile=profile["id"])
    assert (found["is_member"], found["in_segment"], found["explanation"]["holds"]) == (False, False, True)


async def test_requests_for_explanations_are_validated(client: SegmentClient) -> None:
    await client.create("women", WOMEN)
    assert set(await client.errors("GET", "/women/explain")) == {"member", "profile"}
    assert set(await client.errors("GET", "/women/explain", member=1, profile=str(uuid4()))) == {"member", "profile"}
    assert set(await client.errors("GET", "/women/explain", member="x")) == {"member"}
    assert set(await client.errors("GET", "/women/explain", profile="x")) == {"profile"}
    for subject in ({"member": 7}, {"profile": str(uuid4())}):
        assert (await client.send("GET", "/women/explain", **subject)).status_code == 404


# Segments of profiles -----------------------------------------------------------------------------------------


async def segments_of(club: Club, profile_id: str) -> list[str]:
    """The segments of a profile."""
    answer = await club.http.get(f"/api/v3/profiles/{profile_id}", params={"include": "segments"})
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["data"]["segments"]
    return found


async def test_a_profile_has_its_segments(club: Club, client: SegmentClient) -> None:
    woman, man = await create_profile(club, gender="female"), await create_profile(club, gender="male")
    assert await segments_of(club, woman["id"]) == []
    await client.create("women", WOMEN)
    await client.create("men", MEN)
    await client.create("a-few", {"type": "less_than", "field": "aggregations.shop_count", "value": 5})
    assert await segments_of(club, woman["id"]) == ["a-few", "women"]
    listed = await club.http.get("/api/v3/profiles", params={"include": "segments"})
    assert {each["id"]: each["segments"] for each in listed.json()["data"]} == {
        woman["id"]: ["a-few", "women"],
        man["id"]: ["a-few", "men"],
    }


async def test_the_segments_of_a_profile_follow_the_clock_before_any_job(club: Club, client: SegmentClient) -> None:
    await client.create("new", {"type": "not_equal", "field": "aggregations.dimension_recency", "value": "RI"})
    profile = await create_profile(club)
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=profile["id"]))
    assert await segments_of(club, profile["id"]) == ["new"]
    club.clock.at += timedelta(days=800)
    assert await segments_of(club, profile["id"]) == []
    assert not (await client.get("/new/explain", profile=profile["id"]))["in_segment"]


async def test_members_do_not_see_their_segments(club: Club) -> None:
    profile = await create_profile(club)
    new = NewToken(club.community.organization_id, "own", None, None, club.community.id, profile["id"])
    async with club.database.unscoped_connection() as connection:
        token = await tokens.create(connection, new, club.clock())
    answer = await club.http.get(
        f"/api/v3/profiles/{profile['id']}",
        params={"include": "segments"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 403


async def test_the_segments_of_a_profile_are_listed_with_the_time_since_when(club: Club, client: SegmentClient) -> None:
    profile = await create_profile(club, gender="female")
    path = f"/api/v3/profiles/{profile['id']}/segments"
    assert (await club.http.get(path)).json() == {"data": []}
    await client.create("women", WOMEN, description="All women")
    await client.create("men", MEN)
    await client.create("buyers", {"type": "greater_than", "field": "aggregations.shop_count", "value": 0})
    assert (await club.http.get(path)).json()["data"] == [
        {"name": "women", "description": "All women", "since": None, "known_since": None}
    ]
    await maintain(club)
    club.clock.at += timedelta(days=1)
    await create_transaction(club, sale(100, "2026-10-01 12:00:00", profile_id=profile["id"]))
    assert (await club.http.get(path)).json()["data"] == [
        {"name": "buyers", "description": "", "since": "2026-11-02 00:00:00", "known_since": "2026-11-01 00:00:00"},
        {"name": "women", "description": "All women", "since": None, "known_since": "2026-11-01 00:00:00"},
    ]
    unknown = path.replace(profile["id"], "00000000-0000-0000-0000-000000000000")
    assert (await club.http.get(unknown)).status_code == 404
