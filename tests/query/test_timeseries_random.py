"""Random queries in random time zones have the results of the oracle."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from random import Random

import pytest

from hypothesis_settings import SEED, examples
from query.event_reports import HISTORY, SampleEvent, build_query, create_tenant
from query.timeseries_oracle import CountedEvent, expected
from regulars.query.backends import Backends
from regulars.query.formats.timeseries import timeseries
from regulars.rollups.intervals import ALL_INTERVALS
from regulars.storage.database import Database

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
