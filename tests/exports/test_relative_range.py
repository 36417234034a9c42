"""Ranges relative to a run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from regulars.core.timestamps import local_to_utc
from regulars.exports.cron import CronExpression
from regulars.exports.relative_range import RangeOrigin, RelativeRange, parse_range
from regulars.query.errors import ErrorCollector
from regulars.reports.report import ReportFormat
from regulars.rollups.intervals import Interval

OSLO = ZoneInfo("Europe/Oslo")


def run_at(text: str, zone: str = "Europe/Oslo", *customers: str) -> RangeOrigin:
    """A run of a schedule in a zone, which is that of its customers unless they have others."""
    return RangeOrigin(
        datetime.fromisoformat(text).astimezone(UTC), ZoneInfo(zone), list(map(ZoneInfo, customers or (zone,)))
    )


@pytest.mark.parametrize(
    ("last", "start", "end"),
    [
        ("2h", "2026-03-12T04:00:00+01:00", "2026-03-12T06:00:00+01:00"),
        ("7d", "2026-03-05T00:00:00+01:00", "2026-03-12T00:00:00+01:00"),
        ("1w", "2026-03-02T00:00:00+01:00", "2026-03-09T00:00:00+01:00"),
        ("1mo", "2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"),
        ("15mo", "2024-12-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"),
        ("6mo", "2025-09-01T00:00:00+02:00", "2026-03-01T00:00:00+01:00"),
    ],
)
def test_a_range_is_whole_units_before_the_run(last: str, start: str, end: str) -> None:
    found = parse_range({"last": last}, ErrorCollector())
    assert found is not None
    run = run_at("2026-03-12T06:30:15+01:00")
    assert found.resolve(run, ReportFormat.STATISTICS) == {"from": start, "to": end}


def test_a_time_series_ends_with_the_bucket_before_the_run() -> None:
    found = RelativeRange(1, Interval.DAY).resolve(run_at("2026-03-12T06:30:15+01:00"), ReportFormat.TIMESERIES)
    assert found == {"from": "2026-03-11T00:00:00+01:00", "to": "2026-03-11T23:59:59+01:00"}


def test_hours_of_a_time_series_end_with_the_bucket_before_a_clock_change() -> None:
    found = RelativeRange(1, Interval.HOUR).resolve(run_at("2026-03-29T03:00:00+02:00"), ReportFormat.TIMESERIES)
    assert found == {"from": "2026-03-29T01:00:00+01:00", "to": "2026-03-29T01:59:59+01:00"}


@pytest.mark.parametrize(
    ("last", "zone", "customers", "at", "start", "end"),
    [
        # Days of the schedule, although it is another day in New York and Tokyo.
        ("1d", "UTC", ["America/New_York"], "2026-07-02T01:00Z", "2026-07-01T00:00:00+00:00", "2026-07-02T00:00:00+00:00"),
        ("1d", "UTC", ["Asia/Tokyo"], "2026-07-02T16:00Z", "2026-07-01T00:00:00+00:00", "2026-07-02T00:00:00+00:00"),
        ("1h", "Asia/Kolkata", ["UTC"], "2026-07-01T21:40Z", "2026-07-02T02:00:00+05:30", "2026-07-02T03:00:00+05:30"),
        # Local times of customers in several zones, which have ended for all of them.
        ("1w", "Europe/Oslo", ["Europe/Oslo", "Asia/Tokyo"], "2026-06-28T22:00Z", "2026-06-22T00:00:00", "2026-06-29T00:00:00"),
        ("1d", "Asia/Tokyo", ["Asia/Tokyo", "Europe/Oslo"], "2026-07-01T21:00Z", "2026-06-30T00:00:00", "2026-07-01T00:00:00"),
        ("1d", "Asia/Tokyo", ["Asia/Tokyo", "Europe/Oslo"], "2026-12-01T23:30Z", "2026-12-01T00:00:00", "2026-12-02T00:00:00"),
        ("1h", "Asia/Tokyo", ["America/New_York", "UTC"], "2026-07-01T21:40Z", "2026-07-01T15:00:00", "2026-07-01T16:00:00"),
    ],
)  # fmt: skip
def test_units_are_those_of_the_schedule_and_have_ended_for_all_customers(
    last: str, zone: str, customers: list[str], at: str, start: str, end: str
) -> None:
    found = parse_range({"last": last}, ErrorCollector())
    assert found is not None
    assert found.resolve(run_at(at, zone, *customers), ReportFormat.STATISTICS) == {"from": start, "to": end}


def ranges(
    cron: str, last: str, zone: str, customers: list[str], start: datetime, duration: timedelta
) -> Iterator[tuple[datetime, dict[str, str]]]:
    """The instants of the runs since a start, each with its range."""
    expression = CronExpression.parse(cron, ZoneInfo(zone))
    found = parse_range({"last": last}, ErrorCollector())
    assert found is not None
    at = expression.next_after(start)
    while at < start + duration:
        run = RangeOrigin(at, expression.zone, list(map(ZoneInfo, customers)))
        yield at, found.resolve(run, ReportFormat.STATISTICS)
        at = expression.next_after(at)


def require_tiles(cron: str, last: str, zone: str, customers: list[str], start: datetime, duration: timedelta) -> None:
    """Asserts, for each customer, that each range begins where the one before has ended, and ends before its run."""
    ends: dict[str, datetime] = {}
    count = 0
    for at, times in ranges(cron, last, zone, customers, start, duration):
        count += 1
        for each in customers:
            begin, end = (
                local if local.tzinfo is not None else local_to_utc(local, each)
                for local in map(datetime.fromisoformat, (times["from"], times["to"]))
            )
            assert begin == ends.get(each, begin), (cron, last, zone, each, at)
            assert end <= at, (cron, last, zone, each, at)
            ends[each] = end
    assert count > 1


# The clocks of Santiago and Cairo change at midnight, those of Lord Howe by half an hour.
ZONES = ["Europe/Oslo", "America/New_York", "America/Santiago", "Africa/Cairo", "Asia/Kathmandu", "UTC"]
ZONES += ["Australia/Lord_Howe"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("cron", "last"),
    [
        ("0 0 * * *", "1d"),
        ("30 2 * * *", "1d"),
        ("59 23 * * *", "1d"),
        ("0 6 * * MON", "1w"),
        ("30 2 * * SUN", "1w"),
        ("0 0 1 * *", "1mo"),
    ],
)
def test_days_weeks_and_months_of_a_year_are_exported_once(zone: str, cron: str, last: str) -> None:
    require_tiles(cron, last, zone, [zone], datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=400))


@pytest.mark.parametrize(
    ("zone", "customers"),
    [
        ("UTC", ["America/New_York"]),
        ("Europe/Oslo", ["America/New_York"]),
        ("America/New_York", ["Europe/Oslo"]),
        ("Africa/Casablanca", ["Europe/Oslo"]),
        ("Asia/Tokyo", ["Asia/Tokyo", "Europe/Oslo", "America/New_York"]),
    ],
)
@pytest.mark.parametrize("hour", [4, 5, 18])
def test_days_are_exported_once_by_a_schedule_in_another_zone(zone: str, customers: list[str], hour: int) -> None:
    require_tiles(f"0 {hour} * * *", "1d", zone, customers, datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=400))


def days_of_clock_changes(zones: list[str]) -> list[datetime]:
    """The days of 2026, at midnight UTC, before those on which a zone has another offset."""
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=each) for each in range(365)]
    return [
        day
        for day in days
        if any(
            day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset()
            for zone in map(ZoneInfo, zones)
        )
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_hours_are_exported_once_while_the_clocks_change(zone: str) -> None:
    for minute in (0, 20, 45):
        for day in days_of_clock_changes([zone]) or [datetime(2026, 3, 29, tzinfo=UTC)]:
            require_tiles(f"{minute} * * * *", "1h", zone, ["UTC"], day - timedelta(hours=12), timedelta(days=2))


def test_hours_of_customers_in_several_zones_are_exported_once_while_their_clocks_change() -> None:
    for day in days_of_clock_changes(ZONES):
        require_tiles("15 * * * *", "1h", "Europe/Oslo", ZONES, day, timedelta(days=1))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), ["00:00:00+01:00", "01:00:00+01:00", "03:00:00+02:00"]),
        (datetime(2026, 10, 24, 23, 30, tzinfo=UTC), ["01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00"]),
    ],
)
def test_the_hours_around_the_clock_changes_of_oslo(start: datetime, expected: list[str]) -> None:
    found = ranges("0 * * * *", "1h", "Europe/Oslo", ["Europe/Oslo"], start, timedelta(hours=len(expected)))
    assert [times["from"][11:] for _, times in found] == expected


@pytest.mark.parametrize(
    "value",
    [None, "7d", {}, {"last": 7}, {"last": "0d"}, {"last": "1001d"}, {"last": "7y"}, {"last": "7d", "x": 1}],
)
def test_other_ranges_are_an_error(value: object) -> None:
    errors = ErrorCollector()
    assert parse_range(value, errors) is None
    assert errors.errors[("range",)][0].code == "invalid_range"
