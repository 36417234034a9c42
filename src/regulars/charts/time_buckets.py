"""The buckets of a timeseries as charts and tables show them: by local time, without overlaps."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from regulars.charts.chart import TimeBucket
from regulars.charts.language import ChartLanguage
from regulars.core.timestamps import zone_info
from regulars.query.local_buckets import clock_change, next_bucket_start
from regulars.rollups.intervals import Interval

_LENGTHS = {
    Interval.MINUTES_5: timedelta(minutes=5),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(days=7),
}
_INTERVALS = {each.code: each for each in Interval}


def time_bucket(text: str, interval: str, zone_name: str, language: ChartLanguage) -> TimeBucket:
    """A bucket of an answer by its start, which has an offset unless the clubs have several time zones.

    Buckets are drawn at their local time. Where clocks are set back, the local times that occur twice are drawn at half
    their width, first those before the change, and their names have the UTC offset.
    """
    at = datetime.fromisoformat(text)
    local = at.replace(tzinfo=None)
    end = _local_end(local, _INTERVALS[interval])
    name = language.bucket(local, interval)
    if at.tzinfo is None or interval not in (Interval.MINUTES_5.code, Interval.HOUR.code):
        return TimeBucket(local, end, name)
    zone = zone_info(zone_name)
    start, next_start = (_place(each, zone) for each in (at, next_bucket_start(at, _INTERVALS[interval], zone)))
    # Before a skipped hour the next bucket starts later than this one ends.
    end = min(start + (end - local), next_start)
    return TimeBucket(start, end, f"{name} UTC{at.isoformat()[-6:]}" if _is_repeated(at, zone) else name)


def _local_end(start: datetime, interval: Interval) -> datetime:
    if interval in _LENGTHS:
        return start + _LENGTHS[interval]
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _place(at: datetime, zone: ZoneInfo) -> datetime:
    """The local time at which an instant is drawn."""
    local = at.astimezone(zone).replace(tzinfo=None)
    first, second = _occurrences(at, zone)
    if first >= second:
        return local
    change = clock_change(first, second, zone)
    # The repeated time begins as long before the change as clocks are set back by.
    begin = change - (second - first)
    return begin.astimezone(zone).replace(tzinfo=None) + (at - begin) / 2


def _is_repeated(at: datetime, zone: ZoneInfo) -> bool:
    first, second = _occurrences(at, zone)
    return first < second


def _occurrences(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first and the last instant with the local time of an instant, in UTC."""
    local = at.astimezone(zone)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)
