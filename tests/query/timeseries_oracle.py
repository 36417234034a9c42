"""The expected timeseries of counts, from a list of events and the rules of time zones: slow, and independent of the
code under test.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
INTERVALS = ("5m", "1h", "1d", "1w", "1mo")
RETENTION = {"5m": timedelta(days=14), "1h": timedelta(days=184), "1d": timedelta(days=731)}
# No bucket that a range touches holds anything that is so far from it.
MAX_DISTANCE = timedelta(days=40)
KINDS = ["out", "in"]


@dataclass(frozen=True)
class CountedEvent:
    """One event of a tenant."""

    community_id: int
    zone: str
    at: datetime
    kind: str | None
    place: int | None


def local_time(at: datetime, zone: str) -> datetime:
    """What the clocks of a zone show."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def local_floor(wall: datetime, interval: str) -> datetime:
    """The wall time at which a bucket begins."""
    wall = wall.replace(second=0, microsecond=0)
    if interval == "5m":
        return wall - wall.minute % 5 * MINUTE
    if interval == "1h":
        return wall.replace(minute=0)
    day = wall.replace(hour=0, minute=0)
    return {"1d": day, "1w": day - timedelta(days=day.isoweekday() - 1), "1mo": day.replace(day=1)}[interval]


def bucket_key(at: datetime, interval: str, zone: str) -> tuple[Any, ...]:
    """What the instants of a bucket have in common."""
    wall = local_floor(local_time(at, zone), interval)
    return (wall, at.astimezone(ZoneInfo(zone)).utcoffset()) if interval in ("5m", "1h") else (wall,)


def minutes(at: datetime, step: int) -> Iterator[datetime]:
    """Every minute from one on, forward or back."""
    at = at.replace(second=0, microsecond=0)
    while True:
        yield at
        at += step * MINUTE


def first_instant(at: datetime, interval: str, zone: str) -> datetime:
    """The first instant of the bucket that holds another one."""
    return _first(bucket_key(at, interval, zone), interval, zone)


@cache
def _first(bucket: tuple[Any, ...], interval: str, zone: str) -> datetime:
    """Sought minute by minute, from before the date began anywhere."""
    start = bucket[0].replace(tzinfo=UTC) - (timedelta(hours=16) if len(bucket) == 1 else bucket[1])
    return next(each for each in minutes(start, 1) if bucket_key(each, interval, zone) == bucket)


@cache
def is_retained(first: datetime, interval: str, zone: str, now: datetime) -> bool:
    """Whether the bucket that starts at an instant is retained."""
    if interval not in RETENTION or now - first <= RETENTION[interval]:
        return True
    if now - first > RETENTION[interval] + timedelta(days=2):
        return False
    bucket = bucket_key(first, interval, zone)
    end = next(each for each in minutes(first, 1) if bucket_key(each, interval, zone) != bucket)
    return now - end <= RETENTION[interval]


def parse_instant(text: str, zone: str) -> datetime:
    """The instant of a time as it is written; without an offset it is wall time, the first such."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def utc_wall_time(text: str) -> datetime:
    """What a time as it is written is in UTC, as wall time."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def choose_interval(start: str, end: str, zones: Iterable[str], is_local: bool, now: datetime) -> str:
    """The interval of a request that names none."""
    length = utc_wall_time(end) - utc_wall_time(start)
    if not is_local:
        (zone,) = zones
        length = parse_instant(end, zone) - parse_instant(start, zone)
    found = "5m" if length <= timedelta(hours=12) else "1h" if length <= timedelta(days=3) else "1d"
    for interval in INTERVALS[INTERVALS.index(found) :]:
        begins = [
            (parse_instant(utc_wall_time(start).isoformat() if is_local else start, zone), zone) for zone in zones
        ]
        if all(is_retained(first_instant(at, interval, zone), interval, zone, now) for at, zone in begins):
            return interval
    raise AssertionError("weeks are retained forever")


def sort_rank(value: Any) -> tuple[Any, ...]:
    """Where a label's value comes among others."""
    if value is None:
        return (2,)
    return (1, KINDS.index(value), "") if value in KINDS else (1, 9, value) if isinstance(value, str) else (1, value)


def expected(
    counted: Sequence[CountedEvent],
    zones: dict[int, str],
    start: str,
    end: str,
    by: tuple[str, ...] | None,
    interval: str | None,
    now: datetime,
) -> dict[str, Any]:
    """The result of a query for the counts of events by some fields; None is by kind, the default of the report."""
    is_local = len(set(zones.values())) > 1
    interval = interval or choose_interval(start, end, set(zones.values()), is_local, now)
    series: dict[tuple[Any, ...], Counter[datetime]] = defaultdict(Counter)
    for each in counted:
        if not utc_wall_time(start) - MAX_DISTANCE <= each.at.replace(tzinfo=None) <= utc_wall_time(end) + MAX_DISTANCE:
            continue
        first = first_instant(each.at, interval, each.zone)
        if is_local:
            bucket = local_floor(local_time(each.at, each.zone), interval)
            is_in = local_floor(utc_wall_time(start), interval) <= bucket <= local_floor(utc_wall_time(end), interval)
        else:
            bucket = first
            ends = (first_instant(parse_instant(text, each.zone), interval, each.zone) for text in (start, end))
            is_in = next(ends) <= bucket <= next(ends)
        if is_in and is_retained(first, interval, each.zone, now):
            label = {name: getattr(each, name) for name in (("kind",) if by is None else by)}
            if is_local and by != ():
                label["community_id"] = each.community_id
            series[tuple(label.items()), each.zone if is_local else ""][bucket] += 1
    in_order = sorted(series, key=lambda key: ([sort_rank(value) for _, value in key[0]], key[1]))
    buckets = sorted({bucket for counts in series.values() for bucket in counts})
    zone = None if is_local else ZoneInfo(next(iter(zones.values())))
    return {
        "interval": interval,
        "range_timezone": "local" if is_local else next(iter(zones.values())),
        "time_buckets": [
            (each.astimezone(zone) if zone else each).isoformat(timespec="milliseconds") for each in buckets
        ],
        "series": [
            {
                **({"timezone": key[1]} if is_local else {}),
                "label": dict(key[0]),
                "values": [series[key].get(each) for each in buckets],
            }
            for key in in_order
        ],
        "data_points": sum(len(counts) for counts in series.values()),
        "result_type": "timeseries",
    }
