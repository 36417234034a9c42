"""Random events of offers in any order: all reports equal a recount by plain loops."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from clubs import START, Club, ManualClock, create_club
from hypothesis_settings import SEED
from loading.file_loader import outcome_counts
from regulars.facts.offer_events import EVENT_TYPES
from regulars.model.community import NewCommunity
from regulars.storage.database import Database
from reports.offer_recount import FIELDS, OfferClub, history, matches, random_filter, statistics, with_offer_fields
from reports.test_maintenance import differences

ZONES = ("UTC", "Europe/Oslo", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")
MEMBERS = tuple(f"M{n}" for n in range(12))
STORES = ("oslo-1", "bergen-1", "web")
OFFERS: Mapping[str, dict[str, Any]] = {
    "O1": {"collections": ["c1"], "location": "oslo-1", "campaign_id": 7, "type": "discount"},
    "O2": {"collections": ["c1", "c2"], "location": None, "campaign_id": 7, "type": "gift"},
    "O3": {"collections": [], "location": "web", "campaign_id": None, "type": "discount"},
    "O4": {"collections": ["c3", "c2", "c1"], "location": None, "campaign_id": 8, "type": None},
}
REPORTS = {
    ("seen", "clicked"): ("offers_events_history", "offers_events_stats", "click"),
    ("granted", "used"): ("offers_usages_history", "offers_usages_stats", "usage"),
}


@pytest.fixture
def shop(club: Club) -> OfferClub:
    """A club that makes offers."""
    return OfferClub(club)


@pytest_asyncio.fixture
async def shops(database: Database, clock: ManualClock) -> AsyncIterator[list[OfferClub]]:
    """Two clubs of one zone, that is drawn."""
    zone = random.Random(SEED).choice(ZONES)
    new = [NewCommunity(slug=f"shop-{uuid4()}", name="S", country="NO", timezone=zone, currency="NOK") for _ in "ab"]
    async for one in create_club(database, clock, new[0]):
        async for other in create_club(database, clock, new[1]):
            yield [OfferClub(one), OfferClub(other)]


def drawn(chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Events of offers, some of them twice, some of long ago."""
    found = []
    for n in range(number):
        minutes = chance.choice(
            [chance.randint(1, 300), chance.randint(1, 60 * 24 * 40), chance.randint(1, 60 * 24 * 800)]
        )
        found.append(
            {
                "external_id": f"E{n}",
                "offer": chance.choice(list(OFFERS)),
                "event": chance.choice(EVENT_TYPES),
                "at": (START - timedelta(minutes=minutes, seconds=chance.randint(0, 59))).isoformat(),
                "profile": chance.choice([None, *MEMBERS]),
                "location": chance.choice([None, None, *STORES]),
            }
        )
    return found + chance.sample(found, number // 3)


async def with_members(shop: OfferClub) -> None:
    """Loads the members."""
    assert outcome_counts(await shop.load("profiles", [{"external_id": name} for name in MEMBERS])) == (
        len(MEMBERS),
        0,
        0,
    )


def offer_rows(names: Iterable[str]) -> list[dict[str, Any]]:
    """Offers as they are loaded."""
    return [{"external_id": name, "name": name, **OFFERS[name]} for name in names]


async def recorded_rows(shop: OfferClub, events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events as an oracle counts them: with the ids that the product gave."""
    ids, stores = await shop.ids_by_external_id("offer_collections"), await shop.ids_by_external_id("locations")
    offers = {
        name: {
            "offer_id": record["id"],
            "collection_ids": [ids[each] for each in OFFERS[name]["collections"]],
            "store_id": stores.get(OFFERS[name]["location"]),
            "campaign_id": OFFERS[name]["campaign_id"],
            "type": OFFERS[name]["type"],
        }
        for name, record in (await shop.offers()).items()
    }
    return with_offer_fields(({**each, "store_id": stores.get(each["location"])} for each in events), offers)


async def equal(shop: OfferClub, events: Iterable[Mapping[str, Any]], chance: random.Random) -> None:
    """Holds that every report says of these events what a plain loop does, for any query."""
    rows = await recorded_rows(shop, events)
    zone, now = shop.club.community.timezone, shop.club.clock()
    records = await shop.offers()
    for name, record in records.items():
        own = [row["event"] for row in rows if row["offer_id"] == record["id"]]
        shown = [record[f"{each}_count"] for each in ("seen", "clicked", "grants", "uses")]
        assert shown == [own.count(each) for each in EVENT_TYPES], name
    for kinds, (over_time, in_all, rate) in REPORTS.items():
        for interval, days in (("5m", 0.2), ("1h", 2), ("1d", 50), ("1w", 200), ("1mo", 900)):
            since = START - timedelta(days=days * chance.uniform(0.5, 1))
            until = min(since + timedelta(days=days * chance.uniform(0.3, 1)), START)
            params = {"from": since.isoformat(), "to": until.isoformat(), "interval": interval}
            query = random_filter(chance, rows)
            fitting = [row for row in rows if row["event"] in kinds and matches(row, query)]
            by = chance.choice([(), *((each,) for each in FIELDS)])
            group = {"aggregate_by": by[0]} if by else {}
            shown_series = await shop.query_timeseries(over_time, **params, **group, filter=query)
            assert shown_series == history(fitting, ("event", *by), params, zone, now), (params, query, by)
            del params["interval"]
            found = await shop.statistics(in_all, **params, **group, filter=query)
            assert found == statistics(fitting, kinds, by, params, zone, rate), (params, query, by)
    assert await differences(shop.club) == []


async def test_reports_equal_a_recount_of_random_events_in_any_order(shops: list[OfferClub]) -> None:
    chance = random.Random(SEED)
    events = sorted(drawn(chance, 300), key=lambda each: str(each["at"]))
    ordered, shuffled = shops
    for shop in shops:
        await with_members(shop)
    await ordered.load("offers", offer_rows(OFFERS))
    await ordered.load("offer_events", events)
    await shuffled.load("offers", offer_rows(["O1"]))
    chance.shuffle(events)
    await shuffled.load("offer_events", events, batch_rows=chance.choice([7, 40, 1000]))
    await shuffled.load("offers", offer_rows(["O2", "O3", "O4"]))
    for shop in shops:
        await equal(shop, events, chance)


async def test_concurrent_writers_count_each_event_once(shop: OfferClub) -> None:
    await with_members(shop)
    chance = random.Random(SEED + 2)
    events = drawn(chance, 200)
    parts = [chance.sample(events, len(events)) for _ in range(3)]
    loads = [shop.load("offer_events", part, batch_rows=30) for part in parts]
    summaries = await asyncio.gather(*loads, shop.load("offers", offer_rows(OFFERS), batch_rows=1))
    assert sum(each.accepted for each in summaries[:-1]) == 200
    await equal(shop, events, chance)


async def test_a_purge_subtracts_events_and_a_merge_reassigns_them(shop: OfferClub) -> None:
    await with_members(shop)
    chance = random.Random(SEED + 1)
    events = drawn(chance, 150)
    await shop.load("offers", offer_rows(OFFERS))
    await shop.load("offer_events", events)
    profiles = (await shop.club.http.get("/api/v3/profiles?page[size]=500")).json()["data"]
    ids = {each["external_id"]: each["id"] for each in profiles}
    gone, source, destination = MEMBERS[:3]
    answer = await shop.club.http.delete(f"/api/v3/profiles/{ids[gone]}/purge")
    assert answer.status_code in (200, 204), answer.text
    left = [each for each in events if each["profile"] != gone]
    await equal(shop, left, chance)
    answer = await shop.club.http.post(
        "/api/v3/profiles/merge",
        json={"source_profile_id": ids[source], "destination_profile_id": ids[destination]},
    )
    assert answer.status_code == 200, answer.text
    merged = [{**each, "profile": destination if each["profile"] == source else each["profile"]} for each in left]
    await equal(shop, merged, chance)
    # A profile without events of offers can be purged, too.
    made = await shop.club.http.post("/api/v3/profiles", json={"profile": {"external_id": "X"}})
    assert made.status_code in (200, 201), made.text
    answer = await shop.club.http.delete(f"/api/v3/profiles/{made.json()['data']['id']}/purge")
    assert answer.status_code in (200, 204), answer.text
    await equal(shop, merged, chance)
