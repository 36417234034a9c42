"""The answer in statistics: totals and quotients over a range."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from query.event_reports import STATS, SampleEvent, build_query, create_tenant
from regulars.query.backends import Backends
from regulars.query.formats.statistics import statistics
from regulars.storage.database import Database

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


async def test_statistics_include_the_start_and_exclude_the_end(database: Database) -> None:
    start, end = NOW, NOW + timedelta(hours=1)
    first = await create_tenant(
        database,
        "Europe/Oslo",
        [
            SampleEvent(start - MICROSECOND, amount=5),
            SampleEvent(start, amount=100),
            SampleEvent(end - MICROSECOND, amount=101),
            SampleEvent(end, amount=5),
            SampleEvent(start),
        ],
    )
    second = await create_tenant(database, "Europe/Oslo", [SampleEvent(start, amount=200)])
    query = build_query(STATS, "2026-11-24T13:00", "2026-11-24T13:00Z")
    found = await statistics(query, [first, second], Backends(database), NOW)
    assert found == {
        "statistics": [
            {
                "label": {},
                "values": {
                    "count": 4,
                    "sales": 3,
                    "amount": Decimal("4.01"),
                    "average": Decimal("1.3367"),
                    "rate": Decimal("0.7500"),
                },
            }
        ],
        "from": "2026-11-24T13:00:00.000+01:00",
        "to": "2026-11-24T14:00:00.000+01:00",
        "result_type": "statistics",
    }
    assert list(found) == ["statistics", "from", "to", "result_type"]


async def test_groups_are_sorted_by_label_and_a_quotient_by_zero_is_null(database: Database) -> None:
    events = [SampleEvent(NOW, None), SampleEvent(NOW, "in", amount=1), SampleEvent(NOW, "in"), SampleEvent(NOW)]
    utc = await create_tenant(database, "UTC", [*events, *[SampleEvent(NOW, "in")] * 14])
    query = build_query(STATS, "2026-11-24T12:00", "2026-11-24T12:01", "kind")
    found = (await statistics(query, [utc], Backends(database), NOW))["statistics"]
    assert [each["label"]["kind"] for each in found] == ["out", "in", None]
    assert [each["values"]["average"] for each in found] == [None, Decimal("0.0100"), None]
    # A sixteenth is 0.0625.
    assert [each["values"]["rate"] for each in found] == [Decimal("0.0000"), Decimal("0.0625"), Decimal("0.0000")]


async def test_a_quotient_is_rounded_half_even(database: Database) -> None:
    half_even = {}
    for sales in (1, 3):
        events = [SampleEvent(NOW, amount=0)] * sales + [SampleEvent(NOW)] * (20_000 - sales)
        utc = await create_tenant(database, "UTC", events)
        query = build_query(STATS, "2026-11-24T12:00", "2026-11-24T12:01")
        (found,) = (await statistics(query, [utc], Backends(database), NOW))["statistics"]
        half_even[sales] = found["values"]["rate"]
    # 0.00005 and 0.00015.
    assert half_even == {1: Decimal("0.0000"), 3: Decimal("0.0002")}


async def test_with_several_zones_the_range_is_local_time_in_each(database: Database) -> None:
    oslo = await create_tenant(database, "Europe/Oslo", [SampleEvent(NOW - timedelta(hours=1)), SampleEvent(NOW)])
    kolkata = await create_tenant(database, "Asia/Kolkata", [SampleEvent(NOW - timedelta(hours=5, minutes=30))])
    query = build_query(STATS, "2026-11-24T12:00", "2026-11-24T13:00")
    found = await statistics(query, [oslo, kolkata], Backends(database), NOW)
    assert [each["values"]["count"] for each in found["statistics"]] == [2]
    assert (found["from"], found["to"]) == ("2026-11-24T12:00:00.000", "2026-11-24T13:00:00.000")


async def test_a_range_without_events_has_no_groups(database: Database) -> None:
    utc = await create_tenant(database, "UTC", [SampleEvent(NOW)])
    query = build_query(STATS, "2026-11-24T12:00", "2026-11-24T12:00")
    assert (await statistics(query, [utc], Backends(database), NOW))["statistics"] == []


async def test_an_empty_range_says_so(database: Database) -> None:
    utc = await create_tenant(database, "UTC", [SampleEvent(NOW)])
    query = build_query(STATS, "2026-11-24T12:00", "2026-11-24T12:00")
    assert await statistics(query, [utc], Backends(database), NOW) == {
        "statistics": [],
        "from": "2026-11-24T12:00:00.000+00:00",
        "to": "2026-11-24T12:00:00.000+00:00",
        "empty_range": True,
        "result_type": "statistics",
    }
