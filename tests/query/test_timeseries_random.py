"""Random queries in random time zones have the results of the oracle."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from clubs import ManualClock, create_club
from hypothesis_settings import SEED, examples
from query.event_reports import HISTORY, SampleEvent, build_query, create_tenant
from query.timeseries_oracle import CountedEvent, expected, local_floor, local_time
from regulars.model.community import NewCommunity
from regulars.query.backends import Backends
from regulars.query.formats.timeseries import timeseries
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups.compaction import compact
from regulars.rollups.intervals import ALL_INTERVALS, Interval
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
REPEATED = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""When clocks are put back: in Oslo by an hour, in Troll by two."""

COUNTED = [
    ("sendings_events_history", None),
    ("links_visits_history", None),
    ("offers_events_history", None),
    ("transactions_history", None),
    ("member_balance", "total"),
]
"""Reports in which every fact of its kind counts once, and their grouping."""


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


def values_by_zone(result: dict[str, Any]) -> dict[tuple[str, str], int]:
    """The counts of a result by zone and bucket."""
    return {
        (series["timezone"], bucket): value
        for series in result["series"]
        if series["label"].get("metric") in (None, "visits", "transactions")
        for bucket, value in zip(result["time_buckets"], series["values"], strict=True)
        if value is not None
    }


@pytest.mark.slow
async def test_stored_facts_around_a_repeated_hour_are_in_their_local_buckets(
    database: Database, clock: ManualClock
) -> None:
    random = Random(SEED)
    clock.at = now = datetime(2026, 10, 26, tzinfo=UTC)
    facts: dict[str, list[datetime]] = {}
    clubs = []
    async with AsyncExitStack() as stack:
        for zone in ("Europe/Oslo", "Antarctica/Troll", "Asia/Kolkata"):
            slug = f"repeated-{next(_numbers)}"
            new = NewCommunity(slug, "Happy", "NO", zone, "NOK")
            club = ClubFixture(await stack.enter_async_context(asynccontextmanager(create_club)(database, clock, new)))
            facts[zone] = [REPEATED + timedelta(minutes=random.randint(-200, 200)) for _ in range(120)]
            await load_facts(club, facts[zone])
            clubs.append(club)
        tenants = [each.tenant for each in clubs]
        for number in range(examples(40)):
            if number == examples(40) // 2:
                for each in clubs:
                    await compact(database, each.club.community.id)
            interval = random.choice([Interval.MINUTES_5, Interval.HOUR])
            begin = datetime.fromisoformat("2026-10-25T00:00") + timedelta(minutes=random.randint(-60, 240))
            end = begin + timedelta(minutes=random.randint(0, 120))
            first, last = (local_floor(each, interval.code) for each in (begin, end))
            for name, by in COUNTED:
                counts = Counter(
                    (zone, f"{bucket.isoformat()}.000")
                    for zone, instants in facts.items()
                    for at in instants
                    if first <= (bucket := local_floor(local_time(at, zone), interval.code)) <= last
                )
                query = build_query(REPORTS_BY_NAME[name], begin, end, by, interval)
                result = await timeseries(query, tenants, Backends(database), now)
                assert values_by_zone(result) == counts, (SEED, number, name, interval.code, begin, end)
