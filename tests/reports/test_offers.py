"""Offers, their collections, what happens to them over time and in all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clubs import START, Club
from loading.file_loader import outcome_counts, reasons_by_line
from regulars.core.field_type import FieldType
from regulars.facts.offer_events import EVENT_TYPES, rebuild_if_stale
from reports.offer_recount import OfferClub
from reports.test_maintenance import differences

DAY = START - timedelta(days=1)
RANGE = {"from": "2026-10-29T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
OFFER = {
    "external_id": "O1", "name": "Boots", "type": "discount", "status": "live", "collections": ["autumn", "shoes"],
    "location": "oslo-1", "campaign_id": 7, "usable_since": "2026-10-01 00:00", "usable_until": "2026-12-01 00:00",
    "stock": 100,
}  # fmt: skip


@pytest.fixture
def shop(club: Club) -> OfferClub:
    """A club that makes offers."""
    return OfferClub(club)


def event(number: float, kind: str, offer: str = "O1", **more: Any) -> dict[str, Any]:
    """An event of an offer, an hour after the one before."""
    at = (DAY + timedelta(hours=number)).isoformat()
    return {"external_id": f"E{number}", "offer": offer, "event": kind, "at": at, **more}


# As they come -----------------------------------------------------------------------------------------------


async def test_an_offer_has_the_documented_fields_in_order(shop: OfferClub) -> None:
    assert outcome_counts(await shop.load("offers", [OFFER])) == (1, 0, 0)
    own, stores = await shop.ids_by_external_id("offer_collections"), await shop.ids_by_external_id("locations")
    (record,) = (await shop.query("offers"))["records"]
    assert list(record.items())[2:] == [
        ("name", "Boots"),
        ("type", "discount"),
        ("status", "live"),
        ("collection_ids", sorted([own["autumn"], own["shoes"]])),
        ("store_id", stores["oslo-1"]),
        ("campaign_id", 7),
        ("usable_since", "2026-10-01T00:00:00.000000Z"),
        ("usable_until", "2026-12-01T00:00:00.000000Z"),
        ("stock", 100),
        ("grants_count", 0),
        ("uses_count", 0),
        ("seen_count", 0),
        ("clicked_count", 0),
    ]
    assert list(record)[:2] == ["id", "loyalty_club_id"]


async def test_a_repeated_event_changes_nothing_and_a_use_may_arrive_before_its_grant(shop: OfferClub) -> None:
    await shop.load("offers", [OFFER])
    events = [event(4, "used", transaction="T1"), event(3, "granted"), event(2, "clicked"), event(1, "seen")]
    assert outcome_counts(await shop.load("offer_events", [*events, events[0]])) == (4, 1, 0)
    assert outcome_counts(await shop.load("offer_events", events)) == (0, 4, 0)
    # The external id of an event is unique within its offer.
    assert outcome_counts(await shop.load("offer_events", [event(1, "seen", offer="O2")])) == (1, 0, 0)
    record = (await shop.offers())["Boots"]
    assert [record[f"{each}_count"] for each in ("seen", "clicked", "grants", "uses")] == [1, 1, 1, 1]


async def test_events_may_arrive_before_their_offer(shop: OfferClub) -> None:
    assert outcome_counts(await shop.load("offer_events", [event(1, "seen"), event(2, "used")])) == (2, 0, 0)
    assert await shop.offers() == {}
    assert await shop.query_timeseries("offers_events_history", **RANGE) == {}
    assert (await shop.query("offers_usages_stats", **RANGE))["statistics"] == []
    await shop.load("offers", [OFFER])
    record = (await shop.offers())["Boots"]
    assert (record["seen_count"], record["uses_count"]) == (1, 1)
    day = "2026-10-31T00:00:00.000+00:00"
    assert await shop.query_timeseries("offers_events_history", **RANGE, interval="1d") == {("seen",): {day: 1}}
    assert await shop.query_timeseries("offers_usages_history", **RANGE, interval="1d") == {("used",): {day: 1}}


async def test_an_invalid_event_is_rejected_with_its_reason(shop: OfferClub) -> None:
    summary = await shop.load(
        "offer_events",
        [
            event(1, "liked"),
            event(2, "seen", profile="unknown"),
            event(3, "seen") | {"at": (START + timedelta(days=2)).isoformat()},
            event(4, "granted", transaction="T1"),
            {"offer": "O1", "at": "yesterday"},
            event(6, "seen") | {"offer": {"id": 1}},
            event(7, "seen") | {"at": (START + timedelta(hours=23)).isoformat()},
        ],
    )
    assert outcome_counts(summary) == (1, 0, 6)
    assert reasons_by_line(summary) == {
        1: "event must be one of " + ", ".join(EVENT_TYPES),
        2: "profile There is no profile unknown",
        3: "at lies more than a day ahead: set the clock that it comes from",
        4: "transaction goes with the event used",
        5: f"at must be {FieldType.TIMESTAMP.input_format}, not 'yesterday'",
        6: 'offer must be an integer or a text, not {"id":1}',
    }
    assert outcome_counts(await shop.load("offer_events", [event(1, "seen", profile="unknown")])) == (0, 0, 1)


async def test_an_invalid_offer_is_rejected_with_its_reason(shop: OfferClub) -> None:
    summary = await shop.load(
        "offers",
        [
            {"name": "Nameless"},
            {"external_id": "O2", "usable_since": "2026-11-02 00:00", "usable_until": "2026-11-01 00:00"},
            {"external_id": "O3", "collections": [{"id": 1}], "created_at": "soon"},
            {"external_id": "O4", "stock": -1},
        ],
    )
    assert reasons_by_line(summary) == {
        1: "external_id is required",
        2: "usable_until must not lie before usable_since",
        3: f"created_at must be {FieldType.TIMESTAMP.input_format}, not 'soon'",
        4: "stock must be an integer >= 0, not -1",
    }
    assert reasons_by_line(await shop.load("offer_collections", [{"name": "x"}])) == {1: "external_id is required"}


async def test_loading_an_offer_again_updates_its_fields_and_null_clears_them(shop: OfferClub) -> None:
    assert outcome_counts(await shop.load("offers", [OFFER, OFFER])) == (1, 1, 0)
    shop.club.clock.advance(hours=1)
    assert outcome_counts(await shop.load("offers", [OFFER, {"external_id": "O1"}])) == (0, 2, 0)
    changed = {"external_id": "O1", "location": None, "stock": None, "usable_until": None, "created_at": None}
    assert outcome_counts(await shop.load("offers", [changed, {"external_id": "O1", "status": "over"}])) == (2, 0, 0)
    record = (await shop.offers())["Boots"]
    assert (record["store_id"], record["stock"], record["usable_until"]) == (None, None, None)
    assert (record["status"], record["campaign_id"], len(record["collection_ids"])) == ("over", 7, 2)
    since = {"type": "equal", "field": "created_at", "value": "2026-11-01T00:00:00Z"}
    assert list(await shop.offers(filter=since)) == ["Boots"]
    named = {"type": "equal", "field": "external_id", "value": "O1"}
    assert list(await shop.offers(filter=named)) == ["Boots"]


async def test_times_without_an_offset_are_local_in_a_file(shop: OfferClub) -> None:
    await shop.change_timezone("Europe/Oslo")
    await shop.load("offers", [OFFER])
    await shop.load("offer_events", [event(1, "seen") | {"at": "2026-10-31 00:30"}])
    assert (await shop.offers())["Boots"]["usable_since"] == "2026-09-30T22:00:00.000000Z"
    async with shop.club.database.read_transaction(shop.club.community.id) as scope:
        at = await scope.fetchval("SELECT occurred_at FROM offer_events WHERE community_id = $1", scope.community_id)
    assert at.isoformat() == "2026-10-30T23:30:00+00:00"


async def test_a_collection_is_created_when_first_named_and_counts_its_current_offers(
    shop: OfferClub,
) -> None:
    await shop.load("offers", [OFFER])
    await shop.load("offers", [{"external_id": "O2", "name": "Socks", "collections": ["shoes", 17, "", "shoes"]}])
    await shop.load("offer_events", [event(1, "seen"), event(2, "seen", offer="O2"), event(3, "used", offer="O2")])
    assert outcome_counts(await shop.load("offer_collections", [{"external_id": "shoes", "name": "Shoes"}] * 2)) == (
        1,
        1,
        0,
    )
    assert outcome_counts(await shop.load("offer_collections", [{"external_id": "empty"}])) == (1, 0, 0)
    shown = ("name", "offers_count", "seen_count", "uses_count")
    found = {
        each["external_id"]: [each[name] for name in shown]
        for each in (await shop.query("offers_collections"))["records"]
    }
    assert found == {
        "autumn": [None, 1, 1, 0],
        "shoes": ["Shoes", 2, 2, 1],
        "17": [None, 1, 1, 1],
        "empty": [None, 0, 0, 0],
    }
    ids = await shop.ids_by_external_id("offer_collections")
    by_collection = {**RANGE, "aggregate_by": "collection_ids", "interval": "1d"}
    day = "2026-10-31T00:00:00.000+00:00"
    assert await shop.query_timeseries("offers_events_history", **by_collection) == {
        ("seen", ids["autumn"]): {day: 1},
        ("seen", ids["shoes"]): {day: 2},
        ("seen", ids["17"]): {day: 1},
    }
    # What is counted of a collection follows the offers that are in it.
    await shop.load("offers", [OFFER | {"collections": []}, {"external_id": "O2", "collections": ["autumn"]}])
    assert await shop.query_timeseries("offers_events_history", **by_collection) == {
        ("seen", ids["autumn"]): {day: 1},
        ("seen", None): {day: 1},
    }
    records = (await shop.query("offers", aggregate_by="by_collection_ids"))["records"]
    assert [(each["collection_id"], each["offers_count"], each["seen_count"]) for each in records] == [
        (None, 1, 1),
        (ids["autumn"], 1, 1),
    ]


async def test_an_event_counts_in_its_store_or_in_the_store_of_its_offer(shop: OfferClub) -> None:
    await shop.load("offers", [OFFER, {"external_id": "O2"}])
    await shop.load(
        "offer_events",
        [event(1, "used"), event(2, "used", location="bergen-1"), event(3, "used", offer="O2")],
    )
    stores = await shop.ids_by_external_id("locations")
    day = "2026-10-31T00:00:00.000+00:00"
    by_store = {**RANGE, "aggregate_by": "store_id", "interval": "1d"}
    assert await shop.query_timeseries("offers_usages_history", **by_store) == {
        ("used", stores["oslo-1"]): {day: 1},
        ("used", stores["bergen-1"]): {day: 1},
        ("used", None): {day: 1},
    }
    found = await shop.statistics("offers_usages_stats", **RANGE, aggregate_by="store_id")
    assert {label: each["used"] for label, each in found.items()} == {
        (stores["oslo-1"],): 1,
        (stores["bergen-1"],): 1,
        (None,): 1,
    }


async def test_members_count_once_in_a_range_and_anonymous_events_count_no_member(shop: OfferClub) -> None:
    await shop.load("offers", [OFFER, {"external_id": "O2"}])
    await shop.load("profiles", [{"external_id": name} for name in ("A", "B")])
    events = [
        event(1, "granted", profile="A"),
        event(2, "granted", profile="B"),
        event(3, "granted", profile="A", offer="O2"),
        event(4, "used", profile="A"),
        event(5, "granted"),
    ]
    await shop.load("offer_events", events)
    assert await shop.statistics("offers_usages_stats", **RANGE) == {
        (): {"granted": 4, "used": 1, "unique_granted": 2, "unique_used": 1, "usage": 0.25}
    }
    # Both ends of the range: from <= t < to.
    ends = {"from": events[1]["at"], "to": events[3]["at"]}
    assert await shop.statistics("offers_usages_stats", **ends) == {
        (): {"granted": 2, "used": 0, "unique_granted": 2, "unique_used": 0, "usage": 0.0}
    }
    ends = {"from": events[3]["at"], "to": events[4]["at"]}
    ((found),) = (await shop.statistics("offers_usages_stats", **ends)).values()
    assert found["usage"] is None
    assert await shop.statistics("offers_events_stats", **RANGE) == {}


async def test_a_write_creates_missing_partitions(shop: OfferClub) -> None:
    shop.club.clock.advance(days=500)
    await shop.load("offers", [OFFER])
    at = (shop.club.clock() - timedelta(hours=1)).isoformat()
    assert outcome_counts(await shop.load("offer_events", [event(1, "seen") | {"at": at}])) == (1, 0, 0)
    params = {"from": at, "to": at, "interval": "5m"}
    assert await shop.query_timeseries("offers_events_history", **params) == {
        ("seen",): {"2028-03-14T23:00:00.000+00:00": 1}
    }


# Changes of profiles --------------------------------------------------------------------------------------------------


async def test_a_change_of_the_time_zone_rebuilds_all_buckets(shop: OfferClub) -> None:
    await shop.load("offers", [OFFER])
    await shop.load("offer_events", [event(1, "seen"), event(23, "used"), event(23.1, "used", location="web")])
    assert await rebuild_if_stale(shop.club.database, shop.club.community.id) == 0
    await shop.change_timezone("Asia/Kathmandu")
    assert await differences(shop.club) == []
    assert await rebuild_if_stale(shop.club.database, shop.club.community.id) == 1
    assert await rebuild_if_stale(shop.club.database, shop.club.community.id) == 0
    async with shop.club.database.read_transaction(shop.club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT bucket, event_type, count FROM offer_rollups WHERE community_id = $1 AND granularity = '1d'",
            scope.community_id,
        )
    assert sorted((f"{row['bucket']:%m-%d %H:%M}", row["event_type"], row["count"]) for row in rows) == [
        ("10-30 18:15", "seen", 1),
        ("10-31 18:15", "used", 1),
        ("10-31 18:15", "used", 1),
    ]
    assert await differences(shop.club) == []


async def test_verify_finds_wrong_counts_of_an_offer(shop: OfferClub) -> None:
    await shop.load("offers", [OFFER])
    await shop.load("profiles", [{"external_id": "A"}])
    await shop.load("offer_events", [event(1, "seen", profile="A"), event(2, "used", location="web")])
    assert await differences(shop.club) == []
    store, first = (await shop.ids_by_external_id("locations"))["web"], "2026-10-31 01:00:00+00"
    async with shop.club.database.write_transaction(shop.club.community.id) as scope:
        for change in (
            "UPDATE offers SET seen_count = 3 WHERE community_id = $1",
            "UPDATE offers SET location_id = 0 WHERE community_id = $1",
            "UPDATE offers SET collection_ids = '{0}' WHERE community_id = $1",
            "UPDATE offer_rollups SET count = 4 WHERE community_id = $1 AND granularity = '1w' AND event_type = 'used'",
            "UPDATE offer_events SET profile_id = CAST(md5('x') AS uuid) WHERE community_id = $1 AND event_type = 1",
            "DELETE FROM offer_rollups WHERE community_id = $1 AND granularity = '1mo'",
            "UPDATE offers SET last_event_at = first_event_at WHERE community_id = $1",
        ):
            await scope.execute(change, scope.community_id)
    async with shop.club.database.read_transaction(shop.club.community.id) as scope:
        missing = await scope.fetchval(
            "SELECT profile_id FROM offer_events WHERE community_id = $1 AND event_type = 1", scope.community_id
        )
    found = [each.partition(": ")[2] for each in await differences(shop.club)]
    assert found == [
        f"profile_id is stored as '{missing}', expected None",
        "collection_ids is stored as '0', expected None",
        f"first_event_at, last_event_at is stored as '{first} {first}', expected '{first} 2026-10-31 02:00:00+00'",
        "location_id is stored as '0', expected None",
        "seen at 0 in the 1mo from 2026-10-01 00:00:00+00 is stored as '0', expected '1'",
        "seen_count is stored as '3', expected '1'",
        f"used at {store} in the 1mo from 2026-10-01 00:00:00+00 is stored as '0', expected '1'",
        f"used at {store} in the 1w from 2026-10-26 00:00:00+00 is stored as '4', expected '1'",
    ]
