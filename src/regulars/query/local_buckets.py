"""Buckets of local time: where they begin, which lie between two instants, and how wide they are to be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from regulars.query.errors import InvalidParametersError, invalid_parameter
from regulars.rollups.intervals import ALL_INTERVALS, Interval

MAX_BUCKETS = 150
"""So many buckets may begin after the one that holds `from`, up to `to`."""

_SECOND = timedelta(seconds=1)
_CALENDAR = (Interval.DAY, Interval.WEEK, Interval.MONTH)
_WIDTHS = {
    Interval.MINUTES_5: timedelta(minutes=5),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(weeks=1),
}
# The finest interval that suits a range of at most that length; longer ones are asked for in days.
_AUTOMATIC = ((timedelta(hours=12), Interval.MINUTES_5), (timedelta(days=3), Interval.HOUR))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A piece of a zone's time: the instants, in UTC, at which it and the next one begin."""

    start: datetime
    end: datetime

    def is_retained(self, interval: Interval, now: datetime) -> bool:
        """Whether it ended no longer ago than buckets of its width are kept."""
        return interval.retention is None or now - self.end <= interval.retention


# Where buckets begin --------------------------------------------------------------------------------------------


def bucket_start(at: datetime, interval: Interval, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, of the local bucket that holds an instant; the same in SQL is bucket_start.

    What shares a 5m or 1h bucket has the clock's prefix and the offset in common, so one begins when the clocks are
    changed. What shares a 1d, 1w or 1mo bucket has the local date, the week of Monday or the month in common.
    """
    at = at.astimezone(UTC)
    clock = at.astimezone(zone)
    wall = local_floor(clock.replace(tzinfo=None), interval)
    if interval in _CALENDAR:
        return _first_instant(wall, zone)
    start = at - (clock.replace(tzinfo=None) - wall)
    return start if _offset(start, zone) == clock.utcoffset() else _change(start, at.replace(microsecond=0), zone)


def next_bucket_start(start: datetime, interval: Interval, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which the next bucket begins after one that begins at `start`."""
    clock = start.astimezone(zone)
    wall = clock.replace(tzinfo=None)
    later = _wall_following(local_floor(wall, interval), interval)
    if interval in _CALENDAR:
        return _first_instant(later, zone)
    end = start + (later - wall)
    return end if _offset(end, zone) == clock.utcoffset() else _change(start, end, zone)


def local_floor(clock: datetime, interval: Interval) -> datetime:
    """The wall time at which the bucket of another wall time begins."""
    if interval is Interval.MINUTES_5:
        return clock.replace(minute=clock.minute - clock.minute % 5, second=0, microsecond=0)
    if interval is Interval.HOUR:
        return clock.replace(minute=0, second=0, microsecond=0)
    midnight = clock.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval is Interval.WEEK:
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if interval is Interval.MONTH else midnight


def _wall_following(wall: datetime, interval: Interval) -> datetime:
    if interval is not Interval.MONTH:
        return wall + _WIDTHS[interval]
    return (wall + timedelta(days=31)).replace(day=1)


def _first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which a zone's clocks show a wall time, or, where they skip it, a later one."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # Of a skipped time the first reading is by the offset before the change, and so lies after it.
    return first if first <= second else _change(second, first, zone)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which the clocks are changed, after one instant and not after the other."""
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


# Which buckets --------------------------------------------------------------------------------------------------


def buckets_between(start: datetime, end: datetime, interval: Interval, zone: ZoneInfo) -> tuple[Bucket, ...]:
    """The buckets of a zone from the one that holds `start` to the one that holds `end`, both whole.

    Raises InvalidParametersError where there are too many.
    """
    # Where clocks are put back over midnight, a later instant may be of an earlier day.
    first, last = sorted(bucket_start(each, interval, zone) for each in (start, end))
    if (steps := _about(first, last, interval, zone)) > 2 * MAX_BUCKETS:
        raise _too_many(steps)
    found = _listed(first, last, interval, zone)
    if len(found) - 1 > MAX_BUCKETS:
        raise _too_many(len(found) - 1)
    return found


def buckets_by_local_time(start: datetime, end: datetime, interval: Interval, zone: ZoneInfo) -> dict[Bucket, datetime]:
    """The buckets of a zone in which its clocks show the time of a bucket between two wall times, whole, and that
    bucket's wall time. A repeated wall time has two; one that is skipped has none.

    Raises InvalidParametersError where there are too many.
    """
    first, last = local_floor(start, interval), local_floor(end, interval)
    if (steps := _steps(first, last, interval)) > MAX_BUCKETS:
        raise _too_many(steps)
    earliest = _first_instant(first, zone)
    latest = max(last.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    shown = {
        each: local_floor(each.start.astimezone(zone).replace(tzinfo=None), interval)
        for each in _listed(bucket_start(earliest, interval, zone), latest, interval, zone)
    }
    return {each: wall for each, wall in shown.items() if first <= wall <= last}


@lru_cache(maxsize=64)
def _listed(first: datetime, last: datetime, interval: Interval, zone: ZoneInfo) -> tuple[Bucket, ...]:
    # Kept, for who looks at a chart asks for the same buckets again.
    found = []
    while first <= last:
        end = next_bucket_start(first, interval, zone)
        found.append(Bucket(first, end))
        first = end
    return tuple(found)


def _about(first: datetime, last: datetime, interval: Interval, zone: ZoneInfo) -> int:
    """How many steps there are from one bucket to another, give or take some where clocks are changed."""
    if interval in _CALENDAR:
        first, last = (each.astimezone(zone).replace(tzinfo=None) for each in (first, last))
        return _steps(local_floor(first, interval), local_floor(last, interval), interval)
    return _steps(first, last, interval)


def _steps(first: datetime, last: datetime, interval: Interval) -> int:
    if interval is not Interval.MONTH:
        return (last - first) // _WIDTHS[interval]
    return (last.year - first.year) * 12 + last.month - first.month


def _too_many(steps: int) -> InvalidParametersError:
    message = f"At most {MAX_BUCKETS} time points may lie between from and to: take a coarser interval or ask in parts."
    return invalid_parameter(("interval",), "too_many_time_points", message, max=MAX_BUCKETS, requested=steps)


# How wide -------------------------------------------------------------------------------------------------------


def choose_interval(
    offered: Sequence[Interval], length: timedelta, begins: Iterable[tuple[datetime, ZoneInfo]], now: datetime
) -> Interval:
    """The interval that suits a range: by its length, among those offered, one that is still kept where it begins in
    each zone. Where there is none, the coarsest that is offered.
    """
    finest = next((interval for most, interval in _AUTOMATIC if length <= most), Interval.DAY)
    places = list(begins)
    for interval in ALL_INTERVALS[ALL_INTERVALS.index(finest) :]:
        if interval in offered and all(_holding(at, interval, zone).is_retained(interval, now) for at, zone in places):
            return interval
    return max(offered, key=ALL_INTERVALS.index)


def _holding(at: datetime, interval: Interval, zone: ZoneInfo) -> Bucket:
    start = bucket_start(at, interval, zone)
    return Bucket(start, next_bucket_start(start, interval, zone))
