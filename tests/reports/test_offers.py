"""Offers, their collections, what happens to them over time and in all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from clubs import START, Club, SetClock, clubs
from ingest.loading import counts, reasons
from randomness import SEED
from regulars.facts import community as communities
from regulars.facts.community import NewCommunity
from regulars.facts.offer_events import EVENTS
from regulars.ingest.commit import commit
from regulars.reports.usages import rebuild_left
from regulars.storage.database import Database
from reports.offering import FIELDS, Shop, drawn_filter, facts, fits, history, statistics
from reports.test_upkeep import differences

DAY = START - timedelta(days=1)
RANGE = {"from": "2026-10-29T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
OFFER = {
    "external_id": "O1", "name": "Boots", "type": "discount", "status": "live", "collections": ["autumn", "shoes"],
    "location": "oslo-1", "campaign_id": 7, "usable_since": "2026-10-01 00:00", "usable_until": "2026-12-01 00:00",
    "stock": 100,
}  # fmt: skip


@pytest.fixture
def shop(club: Club) -> Shop:
    """A club that makes offers."""
    return Shop(club)


def event(number: float, kind: str, offer: str = "O1", **more: Any) -> dict[str, Any]:
    """An event of an offer, an hour after the one before."""
    at = (DAY + timedelta(hours=number)).isoformat()
    return {"external_id": f"E{number}", "offer": offer, "event": kind, "at": at, **more}


# As they come -----------------------------------------------------------------------------------------------


async def test_an_offer_tells_what_came_of_it_in_the_documented_order(shop: Shop) -> None:
    assert counts(await shop.load("offers", [OFFER])) == (1, 0, 0)
    own, stores = await shop.ids("offer_collections"), await shop.ids("locations")
    (record,) = (await shop.ask("offers"))["records"]
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


async def test_a_repeat_changes_nothing_and_a_use_may_come_before_its_grant(shop: Shop) -> None:
    await shop.load("offers", [OFFER])
    events = [event(4, "used", transaction="T1"), event(3, "granted"), event(2, "clicked"), event(1, "seen")]
    assert counts(await shop.load("offer_events", [*events, events[0]])) == (4, 1, 0)
    assert counts(await shop.load("offer_events", events)) == (0, 4, 0)
    # An event's own id tells it apart within its offer.
    assert counts(await shop.load("offer_events", [event(1, "seen", offer="O2")])) == (1, 0, 0)
    record = (await shop.offers())["Boots"]
    assert [record[f"{each}_count"] for each in ("seen", "clicked", "grants", "uses")] == [1, 1, 1, 1]


async def test_events_wait_for_the_offer_that_they_name(shop: Shop) -> None:
    assert counts(await shop.load("offer_events", [event(1, "seen"), event(2, "used")])) == (2, 0, 0)
    assert await shop.offers() == {}
    assert await shop.series("offers_events_history", **RANGE) == {}
    assert (await shop.ask("offers_usages_stats", **RANGE))["statistics"] == []
    await shop.load("offers", [OFFER])
    record = (await shop.offers())["Boots"]
    assert (record["seen_count"], record["uses_count"]) == (1, 1)
    day = "2026-10-31T00:00:00.000+00:00"
    assert await shop.series("offers_events_history", **RANGE, interval="1d") == {("seen",): {day: 1}}
    assert await shop.series("offers_usages_history", **RANGE, interval="1d") == {("used",): {day: 1}}


async def test_what_is_no_event_is_rejected_with_its_reason(shop: Shop) -> None:
    summary = await shop.load(
        "offer_events",
        [
            event(1, "liked"),
            event(2, "seen", profile="nobody"),
            event(3, "seen") | {"at": (START + timedelta(days=2)).isoformat()},
            event(4, "granted", transaction="T1"),
            {"offer": "O1", "at": "yesterday"},
            event(6, "seen") | {"offer": {"id": 1}},
            event(7, "seen") | {"at": (START + timedelta(hours=23)).isoformat()},
        ],
    )
    assert counts(summary) == (1, 0, 6)
    assert reasons(summary) == {
        1: "event must be one of " + ", ".join(EVENTS),
        2: "profile There is no profile nobody",
        3: "at lies more than a day ahead: set the clock that it comes from",
        4: "transaction goes with the event used",
        5: "at must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset; external_id is required; "
        "event is required",
        6: "offer expected `int | str | null`, got `object`",
    }
    assert counts(await shop.load("offer_events", [event(1, "seen", profile="nobody")])) == (0, 0, 1)


async def test_what_is_no_offer_is_rejected_with_its_reason(shop: Shop) -> None:
    summary = await shop.load(
        "offers",
        [
            {"name": "Nameless"},
            {"external_id": "O2", "usable_since": "2026-11-02 00:00", "usable_until": "2026-11-01 00:00"},
            {"external_id": "O3", "collections": [{"id": 1}], "created_at": "soon"},
            {"external_id": "O4", "stock": -1},
        ],
    )
    assert reasons(summary) == {
        1: "external_id is required",
        2: "usable_until must not lie before usable_since",
        3: "collections must be external ids of collections; "
        "created_at must be a time: YYYY-MM-DD HH:MM:SS in UTC, or ISO 8601 with an offset",
        4: "stock expected `int` >= 0",
    }
    assert reasons(await shop.load("offer_collections", [{"name": "x"}])) == {1: "external_id is required"}


async def test_an_offer_that_comes_again_changes_what_it_says_and_null_clears(shop: Shop) -> None:
    assert counts(await shop.load("offers", [OFFER, OFFER])) == (1, 1, 0)
    shop.club.clock.step(hours=1)
    assert counts(await shop.load("offers", [OFFER, {"external_id": "O1"}])) == (0, 2, 0)
    changed = {"external_id": "O1", "location": None, "stock": None, "usable_until": None, "created_at": None}
    assert counts(await shop.load("offers", [changed, {"external_id": "O1", "status": "over"}])) == (2, 0, 0)
    record = (await shop.offers())["Boots"]
    assert (record["store_id"], record["stock"], record["usable_until"]) == (None, None, None)
    assert (record["status"], record["campaign_id"], len(record["collection_ids"])) == ("over", 7, 2)
    since = {"type": "equal", "field": "created_at", "value": "2026-11-01T00:00:00Z"}
    assert list(await shop.offers(filter=since)) == ["Boots"]
    named = {"type": "equal", "field": "external_id", "value": "O1"}
    assert list(await shop.offers(filter=named)) == ["Boots"]


async def test_times_without_an_offset_are_local_in_a_file(shop: Shop) -> None:
    await zoned(shop.club, "Europe/Oslo")
    await shop.load("offers", [OFFER])
    await shop.load("offer_events", [event(1, "seen") | {"at": "2026-10-31 00:30"}])
    assert (await shop.offers())["Boots"]["usable_since"] == "2026-09-30T22:00:00.000000Z"
    async with shop.club.database.reading(shop.club.community.id) as scope:
        at = await scope.fetchval("SELECT at FROM offer_events WHERE community_id = $1", scope.community_id)
    assert at.isoformat() == "2026-10-30T23:30:00+00:00"


async def test_collections_are_there_when_first_named_and_count_the_offers_that_are_in_them_now(shop: Shop) -> None:
    await shop.load("offers", [OFFER])
    await shop.load("offers", [{"external_id": "O2", "name": "Socks", "collections": ["shoes", 17, "", "shoes"]}])
    await shop.load("offer_events", [event(1, "seen"), event(2, "seen", offer="O2"), event(3, "used", offer="O2")])
    assert counts(await shop.load("offer_collections", [{"external_id": "shoes", "name": "Shoes"}] * 2)) == (1, 1, 0)
    assert counts(await shop.load("offer_collections", [{"external_id": "empty"}])) == (1, 0, 0)
    shown = ("name", "offers_count", "seen_count", "uses_count")
    found = {
        each["external_id"]: [each[name] for name in shown]
        for each in (await shop.ask("offers_collections"))["records"]
    }
    assert found == {
        "autumn": [None, 1, 1, 0],
        "shoes": ["Shoes", 2, 2, 1],
        "17": [None, 1, 1, 1],
        "empty": [None, 0, 0, 0],
    }
    ids = await shop.ids("offer_collections")
    by_collection = {**RANGE, "aggregate_by": "collection_ids", "interval": "1d"}
    day = "2026-10-31T00:00:00.000+00:00"
    assert await shop.series("offers_events_history", **by_collection) == {
        ("seen", ids["autumn"]): {day: 1},
        ("seen", ids["shoes"]): {day: 2},
        ("seen", ids["17"]): {day: 1},
    }
    # What is counted of a collection follows the offers that are in it.
    await shop.load("offers", [OFFER | {"collections": []}, {"external_id": "O2", "collections": ["autumn"]}])
    assert await shop.series("offers_events_history", **by_collection) == {
        ("seen", ids["autumn"]): {day: 1},
        ("seen", None): {day: 1},
    }
    records = (await shop.ask("offers", aggregate_by="by_collection_ids"))["records"]
    assert [(each["collection_id"], each["offers_count"], each["seen_count"]) for each in records] == [
        (None, 1, 1),
        (ids["autumn"], 1, 1),
    ]


async def test_what_happens_in_a_store_counts_there_and_else_in_the_offer_s_own(shop: Shop) -> None:
    await shop.load("offers", [OFFER, {"external_id": "O2"}])
    await shop.load(
        "offer_events",
        [event(1, "used"), event(2, "used", location="bergen-1"), event(3, "used", offer="O2")],
    )
    stores = await shop.ids("locations")
    day = "2026-10-31T00:00:00.000+00:00"
    by_store = {**RANGE, "aggregate_by": "store_id", "interval": "1d"}
    assert await shop.series("offers_usages_history", **by_store) == {
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


async def test_members_are_counted_once_over_a_range_and_nobody_is_no_member(shop: Shop) -> None:
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


async def test_days_without_a_partition_get_theirs_by_the_write(shop: Shop) -> None:
    shop.club.clock.step(days=500)
    await shop.load("offers", [OFFER])
    at = (shop.club.clock() - timedelta(hours=1)).isoformat()
    assert counts(await shop.load("offer_events", [event(1, "seen") | {"at": at}])) == (1, 0, 0)
    asked = {"from": at, "to": at, "interval": "5m"}
    assert await shop.series("offers_events_history", **asked) == {("seen",): {"2028-03-14T23:00:00.000+00:00": 1}}


# Drawn ------------------------------------------------------------------------------------------------------

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


@pytest_asyncio.fixture
async def shops(database: Database, clock: SetClock) -> AsyncIterator[list[Shop]]:
    """Two clubs of one zone, that is drawn."""
    zone = random.Random(SEED).choice(ZONES)
    new = [NewCommunity(slug=f"shop-{uuid4()}", name="S", country="NO", timezone=zone, currency="NOK") for _ in "ab"]
    async for one in clubs(database, clock, new[0]):
        async for other in clubs(database, clock, new[1]):
            yield [Shop(one), Shop(other)]


async def zoned(club: Club, zone: str) -> None:
    """Has a club live in another zone."""
    await commit(club.database, club.community.id, lambda writing: communities.change(writing, timezone=zone))


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
                "event": chance.choice(EVENTS),
                "at": (START - timedelta(minutes=minutes, seconds=chance.randint(0, 59))).isoformat(),
                "profile": chance.choice([None, *MEMBERS]),
                "location": chance.choice([None, None, *STORES]),
            }
        )
    return found + chance.sample(found, number // 3)


async def with_members(shop: Shop) -> None:
    """Loads the members."""
    assert counts(await shop.load("profiles", [{"external_id": name} for name in MEMBERS])) == (len(MEMBERS), 0, 0)


def offer_rows(names: Iterable[str]) -> list[dict[str, Any]]:
    """Offers as they are loaded."""
    return [{"external_id": name, "name": name, **OFFERS[name]} for name in names]


async def as_told(shop: Shop, events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events as an oracle counts them: with the ids that the product gave."""
    ids, stores = await shop.ids("offer_collections"), await shop.ids("locations")
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
    return facts(({**each, "store_id": stores.get(each["location"])} for each in events), offers)


async def equal(shop: Shop, events: Iterable[Mapping[str, Any]], chance: random.Random) -> None:
    """Holds that every report says of these events what a plain loop does, whatever is asked."""
    rows = await as_told(shop, events)
    zone, now = shop.club.community.timezone, shop.club.clock()
    records = await shop.offers()
    for name, record in records.items():
        own = [row["event"] for row in rows if row["offer_id"] == record["id"]]
        shown = [record[f"{each}_count"] for each in ("seen", "clicked", "grants", "uses")]
        assert shown == [own.count(each) for each in EVENTS], name
    for kinds, (over_time, in_all, rate) in REPORTS.items():
        for interval, days in (("5m", 0.2), ("1h", 2), ("1d", 50), ("1w", 200), ("1mo", 900)):
            since = START - timedelta(days=days * chance.uniform(0.5, 1))
            until = min(since + timedelta(days=days * chance.uniform(0.3, 1)), START)
            asked = {"from": since.isoformat(), "to": until.isoformat(), "interval": interval}
            query = drawn_filter(chance, rows)
            fitting = [row for row in rows if row["event"] in kinds and fits(row, query)]
            by = chance.choice([(), *((each,) for each in FIELDS)])
            group = {"aggregate_by": by[0]} if by else {}
            shown_series = await shop.series(over_time, **asked, **group, filter=query)
            assert shown_series == history(fitting, ("event", *by), asked, zone, now), (asked, query, by)
            del asked["interval"]
            found = await shop.statistics(in_all, **asked, **group, filter=query)
            assert found == statistics(fitting, kinds, by, asked, zone, rate), (asked, query, by)
    assert await differences(shop.club) == []


async def test_in_whatever_order_events_come_all_reports_are_what_a_plain_loop_counts(shops: list[Shop]) -> None:
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


async def test_writers_at_once_lose_nothing_and_count_nothing_twice(shop: Shop) -> None:
    await with_members(shop)
    chance = random.Random(SEED + 2)
    events = drawn(chance, 200)
    parts = [chance.sample(events, len(events)) for _ in range(3)]
    loads = [shop.load("offer_events", part, batch_rows=30) for part in parts]
    summaries = await asyncio.gather(*loads, shop.load("offers", offer_rows(OFFERS), batch_rows=1))
    assert sum(each.loaded for each in summaries[:-1]) == 200
    await equal(shop, events, chance)


async def test_a_purge_takes_a_member_s_events_out_and_a_merge_moves_them(shop: Shop) -> None:
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
    # Who had nothing to do with offers is forgotten like anybody.
    made = await shop.club.http.post("/api/v3/profiles", json={"profile": {"external_id": "X"}})
    assert made.status_code in (200, 201), made.text
    answer = await shop.club.http.delete(f"/api/v3/profiles/{made.json()['data']['id']}/purge")
    assert answer.status_code in (200, 204), answer.text
    await equal(shop, merged, chance)


# Kept true --------------------------------------------------------------------------------------------------


async def test_another_zone_has_all_buckets_made_anew(shop: Shop) -> None:
    await shop.load("offers", [OFFER])
    await shop.load("offer_events", [event(1, "seen"), event(23, "used"), event(23.1, "used", location="web")])
    assert await rebuild_left(shop.club.database, shop.club.community.id) == 0
    await zoned(shop.club, "Asia/Kathmandu")
    assert await rebuild_left(shop.club.database, shop.club.community.id) == 1
    assert await rebuild_left(shop.club.database, shop.club.community.id) == 0
    async with shop.club.database.reading(shop.club.community.id) as scope:
        rows = await scope.fetch(
            "SELECT bucket, event, n FROM offer_rollups WHERE community_id = $1 AND step = '1d'", scope.community_id
        )
    assert sorted((f"{row['bucket']:%m-%d %H:%M}", row["event"], row["n"]) for row in rows) == [
        ("10-30 18:15", "seen", 1),
        ("10-31 18:15", "used", 1),
        ("10-31 18:15", "used", 1),
    ]
    assert await differences(shop.club) == []


async def test_verify_tells_what_is_kept_wrong_of_an_offer(shop: Shop) -> None:
    await shop.load("offers", [OFFER])
    await shop.load("profiles", [{"external_id": "A"}])
    await shop.load("offer_events", [event(1, "seen", profile="A"), event(2, "used", location="web")])
    assert await differences(shop.club) == []
    store = (await shop.ids("locations"))["web"]
    async with shop.club.database.writing(shop.club.community.id) as scope:
        for change in (
            "UPDATE offers SET seen_count = 3 WHERE community_id = $1",
            "UPDATE offers SET location_id = 0 WHERE community_id = $1",
            "UPDATE offers SET collection_ids = '{0}' WHERE community_id = $1",
            "UPDATE offer_rollups SET n = 4 WHERE community_id = $1 AND step = '1w' AND event = 'used'",
            "UPDATE offer_events SET profile_id = CAST(md5('x') AS uuid) WHERE community_id = $1 AND event = 1",
            "DELETE FROM offer_rollups WHERE community_id = $1 AND step = '1mo'",
        ):
            await scope.execute(change, scope.community_id)
    async with shop.club.database.reading(shop.club.community.id) as scope:
        nobody = await scope.fetchval(
            "SELECT profile_id FROM offer_events WHERE community_id = $1 AND event = 1", scope.community_id
        )
    found = [each.partition(": ")[2] for each in await differences(shop.club)]
    assert found == [
        f"profile_id is kept as '{nobody}', the facts say None",
        "collection_ids is kept as '0', the facts say None",
        "location_id is kept as '0', the facts say None",
        "seen at 0 in the 1mo from 2026-10-01 00:00:00+00 is kept as '0', the facts say '1'",
        "seen_count is kept as '3', the facts say '1'",
        f"used at {store} in the 1mo from 2026-10-01 00:00:00+00 is kept as '0', the facts say '1'",
        f"used at {store} in the 1w from 2026-10-26 00:00:00+00 is kept as '4', the facts say '1'",
    ]
