"""The timeline of a member over HTTP: every kind of event, in order, page by page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from api.profile_calls import create_profile, headers_with
from api.transaction_client import create_transaction, item_fields, sale
from clubs import Club
from postgres_servers import on_both_servers
from regulars.auth import permits

Json = dict[str, Any]


async def load(club: Club, entity: str, *rows: Mapping[str, Any]) -> None:
    """Imports rows."""
    content = "".join(f"{json.dumps(each)}\n" for each in rows)
    answer = await club.http.post(
        f"/v1/import/{entity}", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    assert (answer.status_code, answer.json()["accepted"]) == (200, len(rows)), answer.text


async def timeline(club: Club, profile_id: str, status: int = 200, **query: Any) -> Json:
    answer = await club.http.get(f"/api/v3/profiles/{profile_id}/timeline", params=query)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def member_with_events(club: Club) -> str:
    """A member with an event of each type, most of them at noon of a day of their own; returns its id."""
    await load(club, "locations", {"external_id": "oslo", "name": "Oslo City"})
    await load(club, "sendings", {"external_id": "spring", "channel": "email", "id": 7})
    await load(club, "offers", {"external_id": "ten", "name": "Ten off"})
    mine = (await create_profile(club, external_id="K", joined_at="2026-01-01 12:00:00", optin_channel="pos"))["id"]
    items = [item_fields(name=name) for name in ("Socks", "Boots", "Hat", "Scarf")]
    for at, total, more in (
        ("2026-01-02 12:00:00", 100, {"location_id": "oslo", "receipt_ref": "R-1", "external_id": "T-1"}),
        ("2026-01-03 12:00:00", -40, {}),
        ("2026-01-03 12:00:00", 0, {}),
        ("2026-01-04 12:00:00", 70, {"is_void": True}),
    ):
        created = await create_transaction(club, sale(total, at, profile_id=mine, items=items, **more))
        assert created["profile_id"] == mine
    events = [
        ("transmitted", "2026-01-05 12:00:00", "a"),
        ("delivered", "2026-01-05 12:01:00", "a"),
        ("opened", "2026-01-07 12:00:00", "a"),
        ("delivered", "2026-01-06 12:00:00", "b"),
        ("bounced", "2026-01-08 12:00:00", "c"),
        ("transmitted", "2026-01-02 12:00:00", "d"),
        ("clicked", "2026-01-09 12:00:00", "e"),
        ("scheduled", "2026-01-09 13:00:00", "f"),
    ]
    await load(
        club,
        "sending_events",
        *(
            {"external_id": f"e{n}", "sending": "spring", "dispatch": key, "profile": "K", "event": event, "at": at}
            for n, (event, at, key) in enumerate(events)
        ),
    )
    await load(
        club,
        "offer_events",
        *(
            {"external_id": "1", "offer": offer, "profile": "K", "event": event, "at": "2026-01-10 12:00:00"}
            for offer, event in (("ten", "granted"), ("eleven", "seen"), ("twelve", "clicked"))
        ),
        {"external_id": "2", "offer": "ten", "profile": "K", "event": "used", "at": "2026-01-11 12:00:00"},
    )
    await load(
        club,
        "link_visits",
        {"external_id": "v1", "at": "2026-01-12 12:00:00", "url": "https://shop.example/boots?q=1", "profile": "K"},
        {"external_id": "v2", "at": "2026-01-10 12:00:00", "host": "shop.example", "profile": "K", "sending": "spring"},
    )
    return str(mine)


@on_both_servers
async def test_a_timeline_has_all_that_happened_latest_first_in_pages_of_any_size(club: Club) -> None:
    mine = await member_with_events(club)
    answer = await timeline(club, mine)
    assert answer["meta"] == {"limit": 50, "before": None}
    found = answer["data"]
    assert [(each["at"][5:10], each["kind"], each["type"]) for each in found] == [
        ("01-12", "visit", "visit"),
        ("01-11", "offer", "used"),
        ("01-10", "visit", "visit"),
        ("01-10", "offer", "clicked"),
        ("01-10", "offer", "seen"),
        ("01-10", "offer", "granted"),
        ("01-09", "message", "scheduled"),
        ("01-09", "message", "clicked"),
        ("01-08", "message", "failed"),
        ("01-06", "message", "delivered"),
        ("01-05", "message", "opened"),
        ("01-03", "transaction", "transaction"),
        ("01-03", "transaction", "return"),
        ("01-02", "message", "sent"),
        ("01-02", "transaction", "purchase"),
        ("01-01", "membership", "joined"),
    ]
    for limit in (1, 2, 3, 5, 15, 16):
        pages: list[Json] = []
        before: str | None = ""
        while before is not None:
            page = await timeline(club, mine, limit=limit, before=before)
            pages += page["data"]
            before = page["meta"]["before"]
        assert pages == found, limit
    for kinds in ("membership", "transaction,visit", " message , offer "):
        names = {each.strip() for each in kinds.split(",")}
        expected = [each for each in found if each["kind"] in names]
        assert (await timeline(club, mine, kinds=kinds))["data"] == expected
        first = await timeline(club, mine, kinds=kinds, limit=1)
        if len(expected) > 1:
            assert (await timeline(club, mine, kinds=kinds, before=first["meta"]["before"]))["data"] == expected[1:]
    assert (await timeline(club, mine, before="2026-01-02T12:00:00Z"))["data"] == found[-1:]


async def test_events_have_their_fields(club: Club) -> None:
    mine = await member_with_events(club)
    by_kind = {each["kind"]: each for each in (await timeline(club, mine))["data"]}
    joined, bought = by_kind["membership"], by_kind["transaction"]
    assert (joined["title"], joined["optin_channel"]) == (None, "pos")
    assert isinstance(bought.pop("id"), int)
    assert isinstance(bought.pop("location_id"), int)
    assert bought == {
        "at": "2026-01-02 12:00:00",
        "kind": "transaction",
        "type": "purchase",
        "title": "Oslo City",
        "external_id": "T-1",
        "receipt_ref": "R-1",
        "amount": 100.0,
        "items_count": 4,
        "item_names": ["Socks", "Boots", "Hat"],
    }
    (opened,) = [each for each in (await timeline(club, mine))["data"] if each["type"] == "opened"]
    assert (opened["title"], opened["channel"], opened["sending_external_id"]) == ("spring", "email", "spring")
    assert (opened["delivered_at"], opened["opened_at"], opened["clicked_at"]) == (
        "2026-01-05 12:01:00",
        "2026-01-07 12:00:00",
        None,
    )
    used = [each for each in (await timeline(club, mine))["data"] if each["kind"] == "offer"]
    assert [(each["title"], each["offer_external_id"]) for each in used] == [
        ("Ten off", "ten"),
        ("twelve", "twelve"),
        ("eleven", "eleven"),
        ("Ten off", "ten"),
    ]
    visit = (await timeline(club, mine))["data"][0]
    assert (visit["title"], visit["source_type"], visit["offer_external_id"]) == ("shop.example/boots", "other", None)


async def test_a_member_who_just_joined_has_one_event_and_one_who_left_two(club: Club) -> None:
    mine = (await create_profile(club))["id"]
    assert [each["type"] for each in (await timeline(club, mine))["data"]] == ["joined"]
    await timeline(club, str(mine).replace("0", "1"), 404)
    other = (await create_profile(club))["id"]
    body = {"source_profile_id": mine, "destination_profile_id": other}
    assert (await club.http.post("/api/v3/profiles/merge", json=body)).status_code == 200
    assert (await timeline(club, mine, 404))["merged_into"] == other


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"before": "yesterday"}, "before"),
        ({"before": "2026-01-01T00:00:00Z~spam~1"}, "before"),
        ({"before": "2026-01-01T00:00:00Z~offer~1"}, "before"),
        ({"before": "2026-01-01T00:00:00Z~membership~one"}, "before"),
        ({"before": f"2026-01-01T00:00:00Z~membership~{'9' * 30}"}, "before"),
        ({"before": "2026-01-01T00:00:00Z~visit~1"}, "before"),
        ({"limit": "201"}, "limit"),
        ({"kinds": "offer,spam"}, "kinds"),
    ],
)
async def test_invalid_pages_are_rejected(club: Club, query: dict[str, str], path: str) -> None:
    mine = (await create_profile(club))["id"]
    answer = await timeline(club, mine, 422, **query)
    assert list(answer["errors"]) == [path]


async def test_a_timeline_is_readable_without_the_permit_for_personal_data(club: Club) -> None:
    mine = (await create_profile(club, first_name="Kari"))["id"]
    for permit, status in ((permits.PROFILE_AGGREGATIONS, 200), (permits.TRANSACTION_READ, 403)):
        headers = await headers_with(club, permit)
        answer = await club.http.get(f"/api/v3/profiles/{mine}/timeline", headers=headers)
        assert answer.status_code == status
        assert "Kari" not in answer.text
