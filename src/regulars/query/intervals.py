"""Buckets of local time: where they begin, which lie between two instants, and how wide they are to be."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from regulars.reports.interval import Interval

_SECOND = timedelta(seconds=1)
_CALENDAR = (Interval.DAY, Interval.WEEK, Interval.MONTH)


def floor(at: datetime, interval: Interval, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, of the local bucket that holds an instant; the same in SQL is bucket_start.

    What shares a 5m or 1h bucket has the clock's prefix and the offset in common, so one begins when the clocks are
    changed. What shares a 1d, 1w or 1mo bucket has the local date, the week of Monday or the month in common.
    """
    at = at.astimezone(UTC)
    clock = at.astimezone(zone)
    wall = _wall_start(clock.replace(tzinfo=None), interval)
    if interval in _CALENDAR:
        return _first_instant(wall, zone)
    start = at - (clock.replace(tzinfo=None) - wall)
    return start if _offset(start, zone) == clock.utcoffset() else _change(start, at.replace(microsecond=0), zone)


def _wall_start(clock: datetime, interval: Interval) -> datetime:
    """The wall time at which the bucket of another one begins."""
    if interval is Interval.MINUTES_5:
        return clock.replace(minute=clock.minute - clock.minute % 5, second=0, microsecond=0)
    if interval is Interval.HOUR:
        return clock.replace(minute=0, second=0, microsecond=0)
    midnight = clock.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval is Interval.WEEK:
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if interval is Interval.MONTH else midnight


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
