"""Buckets of local time: their starts, the buckets of a range, and the choice of an interval."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from regulars.query.errors import InvalidParametersError, invalid_parameter
from regulars.rollups.intervals import ALL_INTERVALS, Interval

MAX_BUCKETS = 150
"""Buckets of a range, without the one that contains `from`."""

_SECOND = timedelta(seconds=1)
_CALENDAR = (Interval.DAY, Interval.WEEK, Interval.MONTH)
_WIDTHS = {
    Interval.MINUTES_5: timedelta(minutes=5),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(weeks=1),
}
# The interval for ranges of at most this length; longer ranges have days.
_AUTOMATIC = ((timedelta(hours=12), Interval.MINUTES_5), (timedelta(days=3), Interval.HOUR))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of local time: its start and end, in UTC; the end is the start of the next bucket."""

    start: datetime
    end: datetime

    def is_retained(self, interval: Interval, now: datetime) -> bool:
        """Whether the bucket is within the retention of its interval."""
        return interval.retention is None or now - self.end <= interval.retention


# Bucket starts ------------------------------------------------------------------------------------------------


def bucket_start(at: datetime, interval: Interval, zone: ZoneInfo) -> datetime:
    """The start, in UTC, of the local bucket that contains an instant. The SQL function bucket_start is equivalent.

    Instants share a 5m or 1h bucket if their local times, rounded down, and their UTC offsets are equal, so a new
    bucket starts at a clock change. They share a 1d, 1w or 1mo bucket if their local date, ISO week or month is equal.
    """
    at = at.astimezone(UTC)
    local_at = at.astimezone(zone)
    local = local_floor(local_at.replace(tzinfo=None), interval)
    if interval in _CALENDAR:
        return _first_instant(local, zone)
    start = at - (local_at.replace(tzinfo=None) - local)
    return (
        start if _offset(start, zone) == local_at.utcoffset() else clock_change(start, at.replace(microsecond=0), zone)
    )


def next_bucket_start(start: datetime, interval: Interval, zone: ZoneInfo) -> datetime:
    """The start, in UTC, of the bucket after the one that starts at `start`."""
    local_at = start.astimezone(zone)
    local = local_at.replace(tzinfo=None)
    later = next_local_start(local_floor(local, interval), interval)
    if interval in _CALENDAR:
        return _first_instant(later, zone)
    end = start + (later - local)
    return end if _offset(end, zone) == local_at.utcoffset() else clock_change(start, end, zone)


def local_floor(local_at: datetime, interval: Interval) -> datetime:
    """Rounds a local time down to the start of its bucket."""
    if interval is Interval.MINUTES_5:
        return local_at.replace(minute=local_at.minute - local_at.minute % 5, second=0, microsecond=0)
    if interval is Interval.HOUR:
        return local_at.replace(minute=0, second=0, microsecond=0)
    midnight = local_at.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval is Interval.WEEK:
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if interval is Interval.MONTH else midnight


def next_local_start(local: datetime, interval: Interval) -> datetime:
    """The local time at which the bucket after the one that starts at `local` starts."""
    if interval is not Interval.MONTH:
        return local + _WIDTHS[interval]
    return (local + timedelta(days=31)).replace(day=1)


def _first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which a zone has a local time; where it is skipped, the instant of the clock change."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # For a skipped time, fold=0 uses the offset before the change, which gives an instant after it.
    return first if first <= second else clock_change(second, first, zone)


def clock_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which the UTC offset changes between two instants."""
    offset = _offset(after, zone)
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if _offset(middle, zone) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(at: datetime, zone: ZoneInfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


# Buckets of a range -------------------------------------------------------------------------------------------


def buckets_between(start: datetime, end: datetime, interval: Interval, zone: ZoneInfo) -> tuple[Bucket, ...]:
    """The buckets of a zone from the one that contains `start` to the one that contains `end`, inclusive.

    Raises InvalidParametersError where there are too many.
    """
    # Where clocks are set back across midnight, a later instant may belong to an earlier day.
    first, last = sorted(bucket_start(each, interval, zone) for each in (start, end))
    if (steps := approximate_steps(first, last, interval, zone)) > 2 * MAX_BUCKETS:
        raise too_many_buckets(steps)
    found = _bucket_sequence(first, last, interval, zone)
    if len(found) - 1 > MAX_BUCKETS:
        raise too_many_buckets(len(found) - 1)
    return found


def buckets_by_local_time(start: datetime, end: datetime, interval: Interval, zone: ZoneInfo) -> dict[Bucket, datetime]:
    """The buckets of a zone between two local times, inclusive, each with its start in local time.

    A repeated local time has two buckets, a skipped one has none. If an end of the range is a repeated time, buckets of
    other local times may lie between them.

    Raises InvalidParametersError where there are too many.
    """
    first, last = local_floor(start, interval), local_floor(end, interval)
    if (steps := steps_between(first, last, interval)) > MAX_BUCKETS:
        raise too_many_buckets(steps)
    earliest = _first_instant(first, zone)
    latest = max(last.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    shown = {
        each: local_floor(each.start.astimezone(zone).replace(tzinfo=None), interval)
        for each in _bucket_sequence(bucket_start(earliest, interval, zone), latest, interval, zone)
    }
    return {each: local for each, local in shown.items() if first <= local <= last}


def fill_gaps(buckets: Sequence[Bucket], interval: Interval, zone: ZoneInfo) -> tuple[Bucket, ...]:
    """Buckets of a zone in order, and all buckets between them, so that each starts where the one before ends."""
    return _bucket_sequence(buckets[0].start, buckets[-1].start, interval, zone) if buckets else ()


@lru_cache(maxsize=64)
def _bucket_sequence(first: datetime, last: datetime, interval: Interval, zone: ZoneInfo) -> tuple[Bucket, ...]:
    # Cached, because clients that refresh a chart request the same buckets again.
    found = []
    while first <= last:
        end = next_bucket_start(first, interval, zone)
        found.append(Bucket(first, end))
        first = end
    return tuple(found)


def approximate_steps(first: datetime, last: datetime, interval: Interval, zone: ZoneInfo) -> int:
    """The number of steps between two buckets, approximate across clock changes."""
    if interval in _CALENDAR:
        first, last = (each.astimezone(zone).replace(tzinfo=None) for each in (first, last))
        return steps_between(local_floor(first, interval), local_floor(last, interval), interval)
    return steps_between(first, last, interval)


def steps_between(first: datetime, last: datetime, interval: Interval) -> int:
    """The number of steps between two local starts of buckets."""
    if interval is not Interval.MONTH:
        return (last - first) // _WIDTHS[interval]
    return (last.year - first.year) * 12 + last.month - first.month


def too_many_buckets(steps: int, limit: int = MAX_BUCKETS) -> InvalidParametersError:
    """The error of a range with too many buckets."""
    message = (
        f"Range too large: {steps} time points, at most {limit} are allowed. Use a coarser interval or a shorter range."
    )
    return invalid_parameter(("interval",), "too_many_time_points", message, max=limit, requested=steps)


# Choice of interval -------------------------------------------------------------------------------------------


def choose_interval(
    available: Sequence[Interval], length: timedelta, range_starts: Iterable[tuple[datetime, ZoneInfo]], now: datetime
) -> Interval:
    """Chooses the interval for a range by its length.

    The interval is one of those available, and buckets at the start of the range are still retained in each zone; if
    none is, the coarsest available.
    """
    finest = next((interval for most, interval in _AUTOMATIC if length <= most), Interval.DAY)
    starts = list(range_starts)
    for interval in ALL_INTERVALS[ALL_INTERVALS.index(finest) :]:
        if interval in available and all(
            _bucket_at(at, interval, zone).is_retained(interval, now) for at, zone in starts
        ):
            return interval
    return max(available, key=ALL_INTERVALS.index)


def _bucket_at(at: datetime, interval: Interval, zone: ZoneInfo) -> Bucket:
    start = bucket_start(at, interval, zone)
    return Bucket(start, next_bucket_start(start, interval, zone))
