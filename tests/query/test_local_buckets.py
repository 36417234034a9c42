"""Which buckets a range has, and how wide they are without an interval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from hypothesis_settings import SEED
from regulars.query import local_buckets
from regulars.query.errors import InvalidParametersError
from regulars.query.local_buckets import Bucket
from regulars.rollups.intervals import ALL_INTERVALS, Interval

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
UTC_ZONE, OSLO, LORD_HOWE = (ZoneInfo(name) for name in ("UTC", "Europe/Oslo", "Australia/Lord_Howe"))
APIA, SAO_PAULO = ZoneInfo("Pacific/Apia"), ZoneInfo("America/Sao_Paulo")


def starts(zone: ZoneInfo, interval: Interval, start: str, end: str) -> list[str]:
    """The local times at which the buckets of a range start; `start` and `end` are in UTC."""
    found = local_buckets.buckets_between(datetime.fromisoformat(start), datetime.fromisoformat(end), interval, zone)
    assert all(earlier.end == later.start for earlier, later in pairwise(found))
    return [each.start.astimezone(zone).isoformat(timespec="minutes")[5:] for each in found]


def test_days_of_23_and_25_hours_are_days() -> None:
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        noon = datetime.fromisoformat(f"{day}T12:00Z")
        (found,) = local_buckets.buckets_between(noon, noon, Interval.DAY, OSLO)
        assert found.end - found.start == timedelta(hours=hours)


def test_a_skipped_hour_has_no_bucket_and_a_repeated_hour_has_two() -> None:
    assert starts(OSLO, Interval.HOUR, "2026-03-29T00:30Z", "2026-03-29T01:30Z") == [
        "03-29T01:00+01:00",
        "03-29T03:00+02:00",
    ]
    assert starts(OSLO, Interval.HOUR, "2026-10-25T00:30Z", "2026-10-25T02:00Z") == [
        "10-25T02:00+02:00",
        "10-25T02:00+01:00",
        "10-25T03:00+01:00",
    ]


def test_a_clock_change_of_half_an_hour() -> None:
    assert starts(LORD_HOWE, Interval.HOUR, "2026-10-03T15:00Z", "2026-10-03T16:00Z") == [
        "10-04T01:00+10:30",
        "10-04T02:30+11:00",
        "10-04T03:00+11:00",
    ]
    assert starts(LORD_HOWE, Interval.HOUR, "2026-04-04T14:00Z", "2026-04-04T15:30Z") == [
        "04-05T01:00+11:00",
        "04-05T01:30+10:30",
        "04-05T02:00+10:30",
    ]


def test_a_skipped_day_has_no_bucket_and_a_skipped_midnight_starts_later() -> None:
    assert starts(APIA, Interval.DAY, "2011-12-30T00:00Z", "2011-12-31T00:00Z") == [
        "12-29T00:00-10:00",
        "12-31T00:00+14:00",
    ]
    assert starts(SAO_PAULO, Interval.DAY, "2018-11-03T12:00Z", "2018-11-05T12:00Z") == [
        "11-03T00:00-03:00",
        "11-04T01:00-02:00",
        "11-05T00:00-02:00",
    ]


def test_weeks_start_on_monday_and_months_on_the_first() -> None:
    assert starts(UTC_ZONE, Interval.WEEK, "2026-11-01T00:00Z", "2026-11-09T00:00Z") == [
        "10-26T00:00+00:00",
        "11-02T00:00+00:00",
        "11-09T00:00+00:00",
    ]
    assert starts(UTC_ZONE, Interval.MONTH, "2026-12-31T00:00Z", "2027-02-01T00:00Z") == [
        "12-01T00:00+00:00",
        "01-01T00:00+00:00",
        "02-01T00:00+00:00",
    ]


def test_a_range_across_a_repeated_midnight_has_both_days() -> None:
    # At 00:01 clocks went back to 23:01.
    zone = ZoneInfo("America/St_Johns")
    assert starts(zone, Interval.DAY, "2006-10-29T02:30:30Z", "2006-10-29T03:00Z") == [
        "10-28T00:00-02:30",
        "10-29T00:00-02:30",
    ]


def test_a_bucket_starts_where_the_previous_one_ends() -> None:
    random = Random(SEED)
    zones = [OSLO, LORD_HOWE, APIA, SAO_PAULO, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/St_Johns")]
    for _ in range(200):
        zone, interval = random.choice(zones), random.choice(ALL_INTERVALS)
        start = datetime(2010, 1, 1, tzinfo=UTC) + timedelta(minutes=random.randrange(17 * 525_600))
        end = start + timedelta(hours=random.randrange(12))
        found = local_buckets.buckets_between(start, end, interval, zone)
        assert found[0].start <= start <= end < found[-1].end, SEED
        assert [local_buckets.bucket_start(each.end, interval, zone) for each in found] == [
            each.end for each in found
        ], SEED


def wall(text: str) -> datetime:
    """A wall time."""
    return datetime.fromisoformat(text)


def walls(zone: ZoneInfo, interval: Interval, start: str, end: str) -> list[tuple[str, str]]:
    """The buckets between two wall times: when each begins in UTC, and its own wall time."""
    found = local_buckets.buckets_by_local_time(wall(start), wall(end), interval, zone)
    return [(f"{each.start:%H:%M}", f"{time:%H:%M}") for each, time in found.items()]


def test_a_local_time_has_one_bucket_for_each_time_that_it_occurs() -> None:
    assert walls(OSLO, Interval.HOUR, "2026-03-29T01:30", "2026-03-29T03:10") == [
        ("00:00", "01:00"),
        ("01:00", "03:00"),
    ]
    assert walls(OSLO, Interval.HOUR, "2026-03-29T02:30", "2026-03-29T02:40") == []
    assert walls(OSLO, Interval.HOUR, "2026-10-25T02:00", "2026-10-25T02:00") == [
        ("00:00", "02:00"),
        ("01:00", "02:00"),
    ]
    assert walls(OSLO, Interval.MINUTES_5, "2026-10-25T02:57", "2026-10-25T02:57") == [
        ("00:55", "02:55"),
        ("01:55", "02:55"),
    ]
    # A bucket cut short by a change belongs to the wall time that it is a part of.
    assert walls(LORD_HOWE, Interval.HOUR, "2026-10-04T02:00", "2026-10-04T02:59") == [("15:30", "02:00")]
    assert walls(SAO_PAULO, Interval.DAY, "2018-11-04T05:00", "2018-11-04T05:00") == [("03:00", "00:00")]
    # `to` within the hour that is skipped: all before it is there.
    assert len(walls(OSLO, Interval.MINUTES_5, "2026-03-29T01:00", "2026-03-29T02:30")) == 12


def test_buckets_between_others_are_added() -> None:
    found = local_buckets.buckets_by_local_time(
        wall("2026-10-25T02:50"), wall("2026-10-25T03:00"), Interval.MINUTES_5, OSLO
    )
    assert [f"{each.start:%H:%M}" for each in found] == ["00:50", "00:55", "01:50", "01:55", "02:00"]
    whole = local_buckets.fill_gaps(list(found), Interval.MINUTES_5, OSLO)
    assert [f"{each.start:%H:%M}" for each in whole] == [
        *(f"{hour:02}:{minute:02}" for hour in (0, 1) for minute in range(0, 60, 5) if (hour, minute) >= (0, 50)),
        "02:00",
    ]
    assert all(earlier.end == later.start for earlier, later in pairwise(whole))
    assert local_buckets.fill_gaps([], Interval.MINUTES_5, OSLO) == ()


# Too many -------------------------------------------------------------------------------------------------------


def refusal(zone: ZoneInfo, interval: Interval, start: datetime, end: datetime) -> dict[str, object]:
    """What is said of a range with too many buckets."""
    buckets = local_buckets.buckets_by_local_time if start.tzinfo is None else local_buckets.buckets_between
    with pytest.raises(InvalidParametersError) as refused:
        buckets(start, end, interval, zone)
    (leaf,) = refused.value.details["interval"]
    assert leaf["error"] == "too_many_time_points"
    options: dict[str, object] = leaf["options"]
    return options


@pytest.mark.parametrize("interval", ALL_INTERVALS)
def test_a_range_may_have_150_buckets_after_the_first(interval: Interval) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    width = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "1d": timedelta(days=1), "1w": timedelta(weeks=1)}
    end = start + width[interval.code] * 151 if interval.code in width else datetime(2036, 8, 1, tzinfo=UTC)
    latest = end - timedelta(microseconds=1)
    assert len(local_buckets.buckets_between(start, latest, interval, UTC_ZONE)) == 151
    assert refusal(UTC_ZONE, interval, start, end) == {"max": 150, "requested": 151}
    assert (
        len(
            local_buckets.buckets_by_local_time(
                start.replace(tzinfo=None), latest.replace(tzinfo=None), interval, UTC_ZONE
            )
        )
        == 151
    )
    assert refusal(UTC_ZONE, interval, start.replace(tzinfo=None), end.replace(tzinfo=None))["requested"] == 151


@pytest.mark.parametrize(
    ("interval", "requested"),
    [("5m", 115_708_895), ("1h", 9_642_407), ("1d", 401_766), ("1w", 57_395), ("1mo", 13_199)],
)
def test_too_many_buckets_are_counted_without_listing_them(interval: str, requested: int) -> None:
    start, end = datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, 23, 59, tzinfo=UTC)
    steps = {each.code: each for each in ALL_INTERVALS}
    assert refusal(UTC_ZONE, steps[interval], start, end) == {"max": 150, "requested": requested}


# How wide -------------------------------------------------------------------------------------------------------


def chosen(hours: float, offered: tuple[Interval, ...] = ALL_INTERVALS, ago: timedelta = timedelta(0)) -> str:
    """The interval of a range of some hours that began some time ago."""
    begins = [(NOW - ago, UTC_ZONE), (NOW - ago, OSLO)]
    return local_buckets.choose_interval(offered, timedelta(hours=hours), begins, NOW).code


def test_the_automatic_interval_depends_on_the_length_of_the_range() -> None:
    assert [chosen(hours) for hours in (0, 12, 12.01, 72, 72.01, 10_000)] == ["5m", "5m", "1h", "1h", "1d", "1d"]


def test_an_unavailable_or_expired_interval_is_replaced_by_the_next_coarser_one() -> None:
    assert chosen(1, (Interval.HOUR, Interval.MONTH)) == "1h"
    assert chosen(100, (Interval.MINUTES_5, Interval.MONTH)) == "1mo"
    assert chosen(1, ago=timedelta(days=15)) == "1h"
    assert chosen(1, ago=timedelta(days=185)) == "1d"
    assert chosen(1, ago=timedelta(days=733)) == "1w"
    assert chosen(1, (Interval.HOUR, Interval.MINUTES_5), ago=timedelta(days=400)) == "1h"


def test_a_bucket_is_retained_until_its_end_exceeds_the_retention() -> None:
    for interval, term in ((Interval.MINUTES_5, 14), (Interval.HOUR, 184), (Interval.DAY, 731)):
        end = NOW - timedelta(days=term)
        assert Bucket(end - timedelta(minutes=5), end).is_retained(interval, NOW)
        assert not Bucket(end - timedelta(minutes=5), end - timedelta(microseconds=1)).is_retained(interval, NOW)
    for forever in (Interval.WEEK, Interval.MONTH):
        assert Bucket(datetime(1900, 1, 1, tzinfo=UTC), datetime(1900, 1, 8, tzinfo=UTC)).is_retained(forever, NOW)
