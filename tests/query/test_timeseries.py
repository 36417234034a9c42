"""The answer in timeseries: its buckets, series, labels, order and limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from query.event_reports import AMOUNTS, HIGHEST, HISTORY, SampleEvent, build_query, create_tenant
from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends
from regulars.query.errors import InvalidParametersError
from regulars.query.formats.timeseries import Series, build_result, timeseries
from regulars.query.parser.time_range import TimeRange
from regulars.query.query import ReportQuery
from regulars.reports.report import Report
from regulars.rollups.intervals import Interval
from regulars.storage.database import Database

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def query_timeseries(
    query: ReportQuery, tenants: Sequence[Tenant], database: Database, now: datetime = NOW
) -> dict[str, Any]:
    """The answer to a query."""
    return await timeseries(query, tenants, Backends(database), now)


async def test_with_one_zone_buckets_have_its_offset_and_tenants_are_added_up(database: Database) -> None:
    first = await create_tenant(
        database,
        "Europe/Oslo",
        [
            SampleEvent(at("2026-03-28T22:59")),  # 28 March, 23:59
            SampleEvent(at("2026-03-28T23:00")),
            SampleEvent(at("2026-03-29T21:59"), "in"),
            SampleEvent(at("2026-03-31T12:00"), "in"),
        ],
    )
    second = await create_tenant(database, "Europe/Oslo", [SampleEvent(at("2026-03-29T12:00"))])
    query = build_query(HISTORY, "2026-03-28T10:00", "2026-03-31T00:00", interval=Interval.DAY)
    found = await query_timeseries(query, [first, second], database)
    assert found == {
        "interval": "1d",
        "range_timezone": "Europe/Oslo",
        # 30 March is empty; 31 March is whole, for it holds `to`.
        "time_buckets": [
            "2026-03-28T00:00:00.000+01:00",
            "2026-03-29T00:00:00.000+01:00",
            "2026-03-31T00:00:00.000+02:00",
        ],
        "series": [
            {"label": {"kind": "out"}, "values": [1, 2, None]},
            {"label": {"kind": "in"}, "values": [None, 1, 1]},
        ],
        "data_points": 4,
        "result_type": "timeseries",
    }
    assert list(found) == ["interval", "range_timezone", "time_buckets", "series", "data_points", "result_type"]


async def test_the_repeated_hour_is_two_buckets_in_one_zone_and_one_across_zones(database: Database) -> None:
    repeated = [
        SampleEvent(at("2026-10-25T00:30")),
        SampleEvent(at("2026-10-25T01:30")),
        SampleEvent(at("2026-10-25T01:40")),
    ]
    oslo = await create_tenant(database, "Europe/Oslo", repeated)
    query = build_query(HISTORY, "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "total", Interval.HOUR)
    alone = await query_timeseries(query, [oslo], database)
    assert alone["time_buckets"] == ["2026-10-25T02:00:00.000+02:00", "2026-10-25T02:00:00.000+01:00"]
    assert alone["series"] == [{"label": {}, "values": [1, 2]}]

    kolkata = await create_tenant(database, "Asia/Kolkata", [SampleEvent(at("2026-10-24T20:45"))])  # 02:15
    query = build_query(HISTORY, "2026-10-25T02:00", "2026-10-25T02:00", "total", Interval.HOUR)
    assert await query_timeseries(query, [oslo, kolkata], database) == {
        "interval": "1h",
        "range_timezone": "local",
        "time_buckets": ["2026-10-25T02:00:00.000"],
        "series": [
            {"timezone": "Asia/Kolkata", "label": {}, "values": [1]},
            {"timezone": "Europe/Oslo", "label": {}, "values": [3]},
        ],
        "data_points": 2,
        "result_type": "timeseries",
    }


async def test_a_gauge_at_a_repeated_hour_has_the_later_value(database: Database) -> None:
    places = [
        SampleEvent(at("2026-10-25T00:30"), place=7),
        SampleEvent(at("2026-10-25T01:30"), place=5),
        SampleEvent(at("2026-10-25T00:40"), "in", place=3),
    ]
    oslo = await create_tenant(database, "Europe/Oslo", places)
    other = await create_tenant(database, "Europe/Lisbon", [])
    query = build_query(HIGHEST, "2026-10-25T02:00", "2026-10-25T02:00", interval=Interval.HOUR)
    series = (await query_timeseries(query, [oslo, other], database))["series"]
    assert [(each["label"]["kind"], each["values"]) for each in series] == [("out", [5]), ("in", [3])]
    query = build_query(HIGHEST, "2026-10-25T00:30Z", "2026-10-25T01:30Z", interval=Interval.HOUR)
    assert [each["values"] for each in (await query_timeseries(query, [oslo], database))["series"]] == [
        [7, 5],
        [3, None],
    ]


async def test_events_of_the_repeated_hour_outside_the_local_range_are_in_no_bucket(database: Database) -> None:
    events = [
        SampleEvent(at("2026-10-25T00:55"), place=1),  # 02:55, the first time
        SampleEvent(at("2026-10-25T01:00"), place=2),  # 02:00, the second time
        SampleEvent(at("2026-10-25T01:25"), place=3),
        SampleEvent(at("2026-10-25T01:30"), place=4),
    ]
    tenants = [await create_tenant(database, "Europe/Oslo", events), await create_tenant(database, "Asia/Kolkata", [])]
    now = at("2026-10-26T00:00")

    async def found(report: Report, start: str, end: str) -> dict[str, Any]:
        query = build_query(report, f"2026-10-25T{start}", f"2026-10-25T{end}", interval=Interval.MINUTES_5)
        result = await query_timeseries(query, tenants, database, now)
        values = [value for series in result["series"] for value in series["values"]]
        return dict(zip([each[11:16] for each in result["time_buckets"]], values, strict=True))

    assert await found(HISTORY, "02:30", "04:00") == {"02:30": 1, "02:55": 1}
    assert await found(HIGHEST, "02:30", "04:00") == {"02:30": 4, "02:55": 1}
    assert await found(HISTORY, "01:00", "02:25") == {"02:00": 1, "02:25": 1}
    assert await found(HIGHEST, "02:10", "02:25") == {"02:25": 3}


async def test_with_several_zones_each_tenant_has_its_own_series(database: Database) -> None:
    events = [SampleEvent(at("2026-11-02T12:00")), SampleEvent(at("2026-11-02T12:00"), "in")]
    apia = await create_tenant(database, "Pacific/Apia", events)
    first, second = [await create_tenant(database, "Europe/Oslo", events) for _ in range(2)]
    tenants = [second, apia, first]

    async def series(by: str | None) -> list[tuple[str, dict[str, Any], list[Any]]]:
        query = build_query(HISTORY, "2026-11-02T00:00", "2026-11-03T23:00", by, Interval.DAY)
        found = (await query_timeseries(query, tenants, database))["series"]
        assert all(list(each) == ["timezone", "label", "values"] for each in found)
        return [(each["timezone"], each["label"], each["values"]) for each in found]

    here, there = "Europe/Oslo", "Pacific/Apia"
    assert await series(None) == [
        (there, {"kind": "out", "community_id": apia.community_id}, [None, 1]),
        (here, {"kind": "out", "community_id": first.community_id}, [1, None]),
        (here, {"kind": "out", "community_id": second.community_id}, [1, None]),
        (there, {"kind": "in", "community_id": apia.community_id}, [None, 1]),
        (here, {"kind": "in", "community_id": first.community_id}, [1, None]),
        (here, {"kind": "in", "community_id": second.community_id}, [1, None]),
    ]
    assert await series("total") == [(here, {}, [4, None]), (there, {}, [None, 2])]
    assert await series("community_id") == [
        (there, {"community_id": apia.community_id}, [None, 2]),
        (here, {"community_id": first.community_id}, [2, None]),
        (here, {"community_id": second.community_id}, [2, None]),
    ]
    assert [label for _, label, _ in await series("loyalty_club_id")] == [
        {"loyalty_club_id": each.loyalty_club_id} for each in (apia, first, second)
    ]


async def test_series_are_in_the_order_of_their_labels(database: Database) -> None:
    events = [
        SampleEvent(NOW, kind, place)
        for kind, place in [(None, 2), ("in", None), ("in", 10), ("in", 9), ("out", 1), ("Zeta", 1), ("alpha", 1)]
    ]
    found = await query_timeseries(
        build_query(HISTORY, NOW, NOW, "kind_and_place"), [await create_tenant(database, "UTC", events)], database
    )
    assert [(each["label"]["kind"], each["label"]["place"]) for each in found["series"]] == [
        ("out", 1),
        ("in", 9),
        ("in", 10),
        ("in", None),
        ("Zeta", 1),
        ("alpha", 1),
        (None, 2),
    ]


async def test_a_measure_without_values_has_no_series(database: Database) -> None:
    tenant = await create_tenant(database, "UTC", [SampleEvent(at("2026-11-20T12:00"))])
    found = await query_timeseries(build_query(AMOUNTS, "2026-11-20T00:00", "2026-11-20T00:00"), [tenant], database)
    assert found["series"] == [{"label": {"metric": "sales"}, "values": [0]}]


async def test_each_measure_is_a_series_and_quotients_are_computed_from_sums(database: Database) -> None:
    day = at("2026-11-20T12:00")
    first = await create_tenant(database, "UTC", [SampleEvent(day, amount=100), SampleEvent(day, amount=101)])
    later = [SampleEvent(day, amount=99), SampleEvent(day + timedelta(days=1))]
    second = await create_tenant(database, "UTC", later)
    found = await query_timeseries(
        build_query(AMOUNTS, "2026-11-20T00:00", "2026-11-21T00:00"), [first, second], database
    )
    assert found["series"] == [
        {"label": {"metric": "sales"}, "values": [3, 0]},
        {"label": {"metric": "amount"}, "values": [Decimal("3.00"), None]},
        {"label": {"metric": "average"}, "values": [Decimal("1.0000"), None]},
    ]
    by_kind = await query_timeseries(
        build_query(AMOUNTS, "2026-11-20T00:00", "2026-11-20T00:00", "kind"), [first], database
    )
    assert by_kind["series"][1] == {"label": {"metric": "amount", "kind": "out"}, "values": [Decimal("2.01")]}


async def test_expired_buckets_are_omitted_and_auto_uses_the_next_coarser_interval(database: Database) -> None:
    # The day that ended 731 days ago, exactly, is retained; the one before is not.
    now = at("2026-11-24T00:00")
    old = [
        SampleEvent(at("2024-11-21T23:59")),
        SampleEvent(at("2024-11-22T00:00")),
        SampleEvent(at("2024-11-23T00:00")),
    ]
    utc = await create_tenant(database, "UTC", old)
    query = build_query(HISTORY, "2024-11-20T00:00", "2024-11-24T00:00", interval=Interval.DAY)
    found = await query_timeseries(query, [utc], database, now)
    assert found["time_buckets"] == ["2024-11-22T00:00:00.000+00:00", "2024-11-23T00:00:00.000+00:00"]
    assert (await query_timeseries(build_query(HISTORY, "2024-11-20T00:00", "2024-11-24T00:00"), [utc], database, now))[
        "interval"
    ] == "1w"

    nothing = await query_timeseries(
        build_query(HISTORY, "2024-11-20T00:00", "2024-11-20T01:00", interval=Interval.HOUR), [utc], database
    )
    assert (nothing["time_buckets"], nothing["series"], nothing["data_points"]) == ([], [], 0)


async def test_a_range_that_ends_before_it_starts_is_refused(database: Database) -> None:
    utc = await create_tenant(database, "UTC", [])
    with pytest.raises(InvalidParametersError) as refused:
        await query_timeseries(build_query(HISTORY, "2026-11-20T00:00:01", "2026-11-20T01:00+01:00"), [utc], database)
    assert refused.value.details["to"][0]["error"] == "greater_than_or_equal_to"


# Limits ---------------------------------------------------------------------------------------------------------

OSLO = TimeRange(NOW, NOW, ZoneInfo("Europe/Oslo"))


def series(name: str, first: int, many: int) -> Series:
    """A series of so many values, one an hour."""
    return Series({"name": name}, {NOW + timedelta(hours=hour): hour for hour in range(first, first + many)})


def test_a_result_of_a_thousand_values_is_complete() -> None:
    found = build_result(OSLO, Interval.HOUR, [series("a", 0, 600), series("b", 0, 400)])
    assert found["data_points"] == 1000
    assert "truncated" not in found


def test_a_result_is_truncated_within_its_last_series() -> None:
    reversed_b = Series({"name": "b"}, dict(sorted(series("b", 500, 700).values.items(), reverse=True)))
    found = build_result(OSLO, Interval.HOUR, [series("a", 0, 600), reversed_b, series("c", 0, 1)])
    assert found["data_points"] == 1000
    assert found["truncated"] is True
    assert list(found)[-3:] == ["data_points", "truncated", "result_type"]
    assert [each["label"]["name"] for each in found["series"]] == ["a", "b"]
    # Buckets that only what was cut had a value in are gone.
    assert len(found["time_buckets"]) == 900
    assert [each for each in found["series"][1]["values"] if each is not None] == list(range(500, 900))


def test_a_series_that_is_truncated_to_nothing_is_omitted() -> None:
    found = build_result(OSLO, Interval.HOUR, [series("a", 0, 1000), series("b", 0, 1)])
    assert [each["label"]["name"] for each in found["series"]] == ["a"]
    assert (found["data_points"], found["truncated"]) == (1000, True)
