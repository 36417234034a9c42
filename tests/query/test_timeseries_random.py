"""Random queries in random time zones have the results of the oracle."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from clubs import ManualClock, create_club
from hypothesis_settings import SEED, examples
from query.event_reports import HISTORY, SampleEvent, build_query, create_tenant
from query.timeseries_oracle import CountedEvent, expected, parse_instant, utc_wall_time
from regulars.model.community import NewCommunity
from regulars.query.backends import Backends
from regulars.query.formats.statistics import statistics
from regulars.query.formats.timeseries import timeseries
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups.compaction import compact
from regulars.rollups.intervals import ALL_INTERVALS
from regulars.storage.database import Database
from reports.club_fixture import ClubFixture

ZONES = [
    "Europe/Oslo",
    "Europe/Oslo",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "UTC",
]

# When clocks are changed in some of them, or a day is skipped.
CHANGES = [
    datetime.fromisoformat(each)
    for each in [
        "2006-04-02T03:31Z",
        "2006-10-29T02:31Z",
        "2011-12-30T10:00Z",
        "2018-02-18T02:00Z",
        "2018-11-04T03:00Z",
        "2026-03-29T01:00Z",
        "2026-04-04T15:00Z",
        "2026-10-03T15:30Z",
        "2026-10-25T01:00Z",
    ]
]
# At most 150 buckets, an hour that comes twice among them.
LENGTHS = {"5m": timedelta(hours=11), "1h": timedelta(days=6), "1d": timedelta(days=9), "1w": timedelta(days=60)}
GROUPINGS = {
    None: None,
    "total": (),
    "kind": ("kind",),
    "place": ("place",),
    "kind_and_place": ("kind", "place"),
    "community_id": ("community_id",),
}


def random_events(random: Random) -> list[SampleEvent]:
    """What random_events around the changes of clocks, half of it within the hours next to them."""
    return [
        SampleEvent(
            change + timedelta(seconds=random.uniform(-1, 1) * random.choice([5_400, 259_200])),
            random.choice(["in", "out", None, "else"]),
            random.choice([None, 3, 20]),
        )
        for change in CHANGES
        for _ in range(30)
    ]


def times(random: Random, change: datetime, length: timedelta) -> tuple[str, str]:
    """A range around a change, some of its ends without an offset."""
    start = change + random.uniform(-1, 0.2) * length
    start = start.replace(second=0, microsecond=0)
    end = start + random.random() * length
    if random.random() < 0.5:
        return start.isoformat(), end.isoformat()
    return start.replace(tzinfo=None).isoformat(), end.replace(tzinfo=None).isoformat()


@pytest.mark.slow
async def test_every_timeseries_equals_that_of_the_oracle(database: Database) -> None:
    random = Random(SEED)
    tenants = []
    for zone in ZONES:
        found = random_events(random)
        tenants.append((await create_tenant(database, zone, found), found))
    answered = 0
    for number in range(examples(50)):
        chosen = tenants[:2] if number % 6 == 0 else random.sample(tenants, random.choice([1, 1, 2, 3]))
        interval = random.choice([None, *ALL_INTERVALS])
        change = random.choice(CHANGES)
        length = LENGTHS[interval.code if interval and interval.code in LENGTHS else "1w" if interval else "1d"]
        start, end = times(random, change, length)
        now = change + random.choice([1, 13, 14, 15, 183, 184, 186, 729, 733]) * timedelta(days=1)
        by = random.choice(list(GROUPINGS))
        query = build_query(HISTORY, start, end, by, interval)
        counted = [
            CountedEvent(each.community_id, each.timezone, one.at, one.kind, one.place)
            for each, events in chosen
            for one in events
        ]
        zones = {each.community_id: each.timezone for each, _ in chosen}
        result = await timeseries(query, [each for each, _ in chosen], Backends(database), now)
        written = interval.code if interval else None
        expected_result = expected(counted, zones, start, end, GROUPINGS[by], written, now)
        case = SEED, number, zones, written, start, end, by, now.isoformat()
        answered += bool(expected_result["series"])
        assert json.dumps(result) == json.dumps(expected_result), case
    assert answered > 0


# Stored facts -------------------------------------------------------------------------------------------------

_numbers = itertools.count(1)
ZONE_CHANGES = [
    ("Europe/Oslo", "2026-03-29T01:00Z"),
    ("Europe/Oslo", "2026-10-25T01:00Z"),
    ("Antarctica/Troll", "2026-10-25T01:00Z"),  # by two hours
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),  # by half an hour
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    ("America/Santiago", "2026-04-05T03:00Z"),  # from midnight to 23:00
    ("America/Santiago", "2026-09-06T04:00Z"),  # from midnight to 01:00
    ("Asia/Beirut", "2026-03-28T22:00Z"),
    ("Africa/Cairo", "2026-10-29T21:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00Z"),  # by a day
]

COUNTED = [
    ("sendings_events_history", None),
    ("links_visits_history", None),
    ("offers_events_history", None),
    ("transactions_history", None),
    ("member_balance", "total"),
]
"""Reports in which every fact of its kind counts once, and their grouping."""

STATISTICS = [("offers_events_stats", "seen"), ("links_visits_stats", "visits"), ("transactions_stats", "transactions")]
"""Statistics that count such facts, and their measure."""


async def load_facts(club: ClubFixture, instants: Sequence[datetime]) -> None:
    """One fact of each kind at each instant."""
    rows = [{"external_id": f"F{number}", "at": at.isoformat()} for number, at in enumerate(instants)]
    kinds: dict[str, list[dict[str, Any]]] = {
        "profiles": [{"external_id": f"M{n}", "joined_at": each["at"]} for n, each in enumerate(rows)],
        "sendings": [{"external_id": "S1", "channel": "email", "reporting_id": 1}],
        "offers": [{"external_id": "O1", "name": "Tea"}],
        "sending_events": [
            {**each, "sending": "S1", "dispatch": each["external_id"], "event": "opened"} for each in rows
        ],
        "offer_events": [{**each, "offer": "O1", "event": "seen"} for each in rows],
        "link_visits": [{**each, "offer": "O1", "url": "https://a.example/"} for each in rows],
        "transactions": [
            {"external_id": each["external_id"], "transacted_at": each["at"], "total": 1, "items": []} for each in rows
        ],
    }
    for entity, some in kinds.items():
        summary = await club.load(entity, some)
        assert not summary.rejected, summary.rejections


def counts_by_zone(result: dict[str, Any]) -> Counter[tuple[str, str]]:
    """The counts of a result by zone and bucket."""
    counts: Counter[tuple[str, str]] = Counter()
    for series in result["series"]:
        if series["label"].get("metric") in (None, "visits", "transactions"):
            for bucket, value in zip(result["time_buckets"], series["values"], strict=True):
                counts[series.get("timezone", ""), bucket] += value or 0
    return +counts


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "written"), ZONE_CHANGES)
async def test_stored_facts_around_a_change_of_clocks_are_in_their_local_buckets(
    database: Database, clock: ManualClock, zone: str, written: str
) -> None:
    random = Random(f"{SEED} {zone} {written}")
    change = datetime.fromisoformat(written)
    clock.at = now = change + timedelta(days=3)
    clubs: list[ClubFixture] = []
    facts: dict[int, list[datetime]] = {}
    async with AsyncExitStack() as stack:
        for each in (zone, zone, random.choice(["Asia/Kolkata", "Europe/London"])):
            new = NewCommunity(f"changed-{next(_numbers)}", "Happy", "NO", each, "NOK")
            club = ClubFixture(await stack.enter_async_context(asynccontextmanager(create_club)(database, clock, new)))
            instants = [
                change + timedelta(seconds=int(random.uniform(-1, 1) * random.choice([5_400, 90_000, 250_000])))
                for _ in range(100)
            ]
            facts[club.tenant.community_id] = [*instants, change, change - timedelta(seconds=1)]
            await load_facts(club, facts[club.tenant.community_id])
            clubs.append(club)
        for number in range(examples(20)):
            if number == examples(20) // 2:
                for club in clubs:
                    await compact(database, club.club.community.id)
            tenants = [each.tenant for each in random.choice([clubs[:1], clubs[:2], clubs])]
            zones = {each.community_id: each.timezone for each in tenants}
            counted = [
                CountedEvent(each.community_id, each.timezone, at, None, None)
                for each in tenants
                for at in facts[each.community_id]
            ]
            interval = random.choice(ALL_INTERVALS)
            length = {"5m": timedelta(hours=8), "1h": timedelta(days=4)}.get(interval.code, timedelta(days=9))
            begin, end = times(random, change, random.choice([1, 0.1]) * length)
            if any(parse_instant(begin, each) > parse_instant(end, each) for each in zones.values()):
                # Its local times are skipped: the instants that stand for them are in another order.
                continue
            for name, by in COUNTED:
                query = build_query(REPORTS_BY_NAME[name], begin, end, by, interval)
                result = await timeseries(query, tenants, Backends(database), now)
                wanted = expected(counted, zones, begin, end, (), interval.code, now)
                case = SEED, number, name, zones, interval.code, begin, end
                assert counts_by_zone(result) == counts_by_zone(wanted), case
            for name, measure in STATISTICS:
                answer = await statistics(
                    build_query(REPORTS_BY_NAME[name], begin, end), tenants, Backends(database), now
                )
                found = sum(each["values"][measure] for each in answer["statistics"])
                assert found == count_between(counted, begin, end), (SEED, number, name, zones, begin, end)


def count_between(counted: Sequence[CountedEvent], start: str, end: str) -> int:
    """The number of events of a range, whose ends are local times in each zone if there are several."""
    if len({each.zone for each in counted}) > 1:
        start, end = (utc_wall_time(each).isoformat() for each in (start, end))
    return sum(parse_instant(start, each.zone) <= each.at < parse_instant(end, each.zone) for each in counted)
