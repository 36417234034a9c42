"""Where a bucket of local time begins: the same in SQL and in Python, in every zone, next to every change of clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest

from hypothesis_settings import SEED, examples
from postgres_servers import on_both_servers
from regulars.core import timestamps
from regulars.query import local_buckets
from regulars.rollups.intervals import ALL_INTERVALS, Interval

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


def shared(at: datetime, interval: Interval, zone: ZoneInfo) -> tuple[object, ...]:
    """What the instants of one bucket, and no others, have in common."""
    clock = at.astimezone(zone)
    match interval:
        case Interval.MINUTES_5:
            return clock.date(), clock.hour, clock.minute // 5, clock.utcoffset()
        case Interval.HOUR:
            return clock.date(), clock.hour, clock.utcoffset()
        case Interval.DAY:
            return (clock.date(),)
        case Interval.WEEK:
            return clock.isocalendar()[:2]
        case Interval.MONTH:
            return clock.year, clock.month


def changes(zone: ZoneInfo, random: Random, many: int) -> Iterator[datetime]:
    """Instants at which a zone's clocks are changed, or any where it has none for years."""
    for _ in range(many):
        at = datetime(1900, 1, 8, tzinfo=UTC) + timedelta(days=random.randrange(199 * 365))
        for _ in range(60):
            later = at + timedelta(days=11)
            if later.astimezone(zone).utcoffset() != at.astimezone(zone).utcoffset():
                break
            at = later
        after = later
        while after - at > timedelta(seconds=1):
            middle = (at + (after - at) / 2).replace(microsecond=0)
            if middle.astimezone(zone).utcoffset() == later.astimezone(zone).utcoffset():
                after = middle
            else:
                at = middle
        yield after


def instants_to_try(names: list[str], random: Random) -> Iterator[tuple[datetime, str]]:
    """Each zone's instants: at changes of clocks, on either side of them, and some days later."""
    for name in names:
        for change in changes(ZoneInfo(name), random, examples(3)):
            yield change, name
            yield change - MICROSECOND, name
            yield change + timedelta(seconds=random.uniform(-7200, 7200)), name
            yield change + timedelta(hours=random.uniform(-30, 30)), name
            yield change + timedelta(days=random.uniform(0, 40)), name


def rules_differ(connection: psycopg.Connection, name: str, *at: datetime) -> bool:
    """Whether the server knows another time than Python there, for its zone database is another one."""
    steps = (-26 * HOUR, -MICROSECOND, timedelta(0), 26 * HOUR)
    around = [each + step for each in at for step in steps]
    rows = connection.execute("SELECT at AT TIME ZONE %s FROM unnest(%s::timestamptz[]) AS at", [name, around])
    return [wall for (wall,) in rows] != [each.astimezone(ZoneInfo(name)).replace(tzinfo=None) for each in around]


@pytest.mark.slow
@on_both_servers
def test_bucket_starts_are_equal_in_sql_and_python(database_urls: tuple[str, str]) -> None:
    with psycopg.connect(database_urls[1]) as connection:
        connection.execute("SET timezone = 'UTC'")
        names = [name for (name,) in connection.execute("SELECT name FROM pg_timezone_names ORDER BY name")]
        accepted = [name for name in names if is_accepted(name)]
        assert len(accepted) > 400
        tried = list(instants_to_try(accepted, Random(SEED)))
        others = []
        for interval in ALL_INTERVALS:
            rows = connection.execute(
                "SELECT bucket_start(at, %s, zone) FROM unnest(%s::timestamptz[], %s::text[]) AS tried (at, zone)",
                [interval.code, [at for at, _ in tried], [zone for _, zone in tried]],
            ).fetchall()
            for (at, name), (start,) in zip(tried, rows, strict=True):
                expected = local_buckets.bucket_start(at, interval, ZoneInfo(name))
                if start != expected:
                    case = SEED, interval.code, at.isoformat(), name, start, expected
                    assert rules_differ(connection, name, at, start, expected), case
                    others.append(case)
    # Rules that were changed recently, and what some zones were before 1970.
    assert len(others) < len(tried) * len(ALL_INTERVALS) / 30


def is_accepted(name: str) -> bool:
    """Whether a community may have that zone."""
    try:
        return bool(timestamps.zone_info(name))
    except ValueError:
        return False


def test_a_bucket_starts_with_its_first_instant() -> None:
    random = Random(SEED)
    names = [name for name in sorted(available_timezones()) if is_accepted(name)]
    for at, name in instants_to_try(random.sample(names, 100), random):
        zone = ZoneInfo(name)
        for interval in ALL_INTERVALS:
            start = local_buckets.bucket_start(at, interval, zone)
            case = SEED, interval.code, at.isoformat(), name, start
            assert start.tzinfo is UTC, case
            assert start <= at, case
            assert shared(start, interval, zone) == shared(at, interval, zone), case
            before = [start - MICROSECOND, *(start - HOUR / 2 * steps for steps in range(1, 55))]
            if interval not in (Interval.DAY, Interval.WEEK, Interval.MONTH):
                before = before[:1]
            assert shared(start, interval, zone) not in {shared(each, interval, zone) for each in before}, case


@pytest.mark.parametrize(
    ("zone", "interval", "at", "start"),
    [
        pytest.param(*case, id=" ".join(case[:3]))
        for case in [
            # Half an hour forward at 02:00 of +10:30, and back at 02:00 of +11.
            ("Australia/Lord_Howe", "1h", "2026-10-03T15:40Z", "2026-10-03T15:30Z"),
            ("Australia/Lord_Howe", "1h", "2026-04-04T15:10Z", "2026-04-04T15:00Z"),
            ("Australia/Lord_Howe", "1h", "2026-04-04T14:40Z", "2026-04-04T14:00Z"),
            # Hours and days of the local clock.
            ("Asia/Kolkata", "1h", "2026-11-24T09:10Z", "2026-11-24T08:30Z"),
            ("Asia/Kolkata", "1d", "2026-11-24T18:29Z", "2026-11-23T18:30Z"),
            ("Asia/Kathmandu", "1h", "2026-11-24T09:10Z", "2026-11-24T08:15Z"),
            # The repeated hour is two, each of its own offset; the day is one, of 25 hours.
            ("Europe/Oslo", "1h", "2026-10-25T00:59Z", "2026-10-25T00:00Z"),
            ("Europe/Oslo", "1h", "2026-10-25T01:59Z", "2026-10-25T01:00Z"),
            ("Europe/Oslo", "1d", "2026-10-25T22:59Z", "2026-10-24T22:00Z"),
            # No midnight: 00:00 was 01:00.
            ("America/Sao_Paulo", "1d", "2018-11-04T12:00Z", "2018-11-04T03:00Z"),
            ("America/Sao_Paulo", "1h", "2018-11-04T03:10Z", "2018-11-04T03:00Z"),
            # From 23:30 to 00:30.
            ("America/Toronto", "1d", "1919-03-31T12:00Z", "1919-03-31T04:30Z"),
            # At 00:01 back to 23:01: midnight came twice, and for a minute there was tomorrow.
            ("America/St_Johns", "1d", "2006-10-29T12:00Z", "2006-10-29T02:30Z"),
            ("America/St_Johns", "1d", "2006-10-29T03:00Z", "2006-10-28T02:30Z"),
            # At 01:00 back to 00:00, which came twice: seen from just before, and from after.
            ("America/Havana", "1d", "2012-11-04T04:59:59Z", "2012-11-04T04:00Z"),
            ("America/Havana", "1d", "2012-11-04T12:00Z", "2012-11-04T04:00Z"),
            # 30 December 2011 did not happen.
            ("Pacific/Apia", "1d", "2011-12-30T12:00Z", "2011-12-30T10:00Z"),
            ("Pacific/Apia", "1d", "2011-12-30T09:59Z", "2011-12-29T10:00Z"),
            # Two days of that date, one after the other.
            ("Pacific/Kwajalein", "1d", "1969-10-01T11:00Z", "1969-09-29T13:00Z"),
            ("Europe/Oslo", "1w", "2026-03-29T21:59Z", "2026-03-22T23:00Z"),
            ("Europe/Oslo", "1mo", "2026-03-31T21:59Z", "2026-02-28T23:00Z"),
        ]
    ],
)
def test_buckets_next_to_changes_of_clocks(
    database_urls: tuple[str, str], zone: str, interval: str, at: str, start: str
) -> None:
    expected = datetime.fromisoformat(start)
    steps = {each.code: each for each in ALL_INTERVALS}
    assert local_buckets.bucket_start(datetime.fromisoformat(at), steps[interval], ZoneInfo(zone)) == expected
    with psycopg.connect(database_urls[1]) as connection:
        row = connection.execute("SELECT bucket_start(%s::timestamptz, %s, %s)", [at, interval, zone]).fetchone()
    assert row == (expected,)


def test_null_has_no_bucket_and_unknown_intervals_are_rejected(database_urls: tuple[str, str]) -> None:
    with psycopg.connect(database_urls[1]) as connection:
        for step in ("5m", "1h", "1d"):
            assert connection.execute("SELECT bucket_start(NULL, %s, 'UTC')", [step]).fetchone() == (None,)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute("SELECT bucket_start(now(), '2d', 'UTC')")


def test_bucket_start_is_inlined(database_urls: tuple[str, str]) -> None:
    with psycopg.connect(database_urls[1]) as connection:
        for interval in ALL_INTERVALS:
            plan = connection.execute(
                f"EXPLAIN (VERBOSE, COSTS off) SELECT bucket_start(created_at, '{interval.code}', 'Europe/Oslo')"
                " FROM profiles".encode()
            ).fetchall()
            assert "bucket_start(" not in str(plan), plan
