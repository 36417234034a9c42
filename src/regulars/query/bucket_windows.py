"""Splits a time range of any length into windows of consecutive buckets, each of which is queried by itself."""

from datetime import UTC, datetime, timedelta

from regulars.query.local_buckets import (
    approximate_steps,
    bucket_start,
    local_floor,
    next_bucket_start,
    next_local_start,
    steps_between,
    too_many_buckets,
)
from regulars.query.parser.time_range import TimeRange
from regulars.rollups.intervals import Interval

MAX_RETAINED_BUCKETS = 100_000
"""Buckets of a range after those that have expired; all intervals together retain fewer until today."""

# Local times and UTC differ by less than a day, and no interval that expires is longer than one.
_MARGIN = timedelta(days=3)


class BucketWindows:
    """The windows of a range, from the first bucket that may be retained to the one that contains its end.

    Windows are in local time where the range is. Raises InvalidParametersError where there are too many buckets.
    """

    def __init__(self, period: TimeRange, interval: Interval, now: datetime) -> None:
        self._zone = zone = period.zone
        self._interval = interval
        earliest = None if interval.retention is None else now.astimezone(UTC) - interval.retention - _MARGIN
        if zone is not None:
            # Where clocks are set back across midnight, a later instant may belong to an earlier day.
            first, last = sorted(bucket_start(each, interval, zone) for each in (period.start, period.end))
            if earliest is not None:
                first = max(first, bucket_start(earliest, interval, zone))
            steps = approximate_steps(first, last, interval, zone)
        else:
            first, last = (local_floor(each, interval) for each in (period.start, period.end))
            if earliest is not None:
                first = max(first, local_floor(earliest.replace(tzinfo=None), interval))
            steps = steps_between(first, last, interval)
        if steps > MAX_RETAINED_BUCKETS:
            raise too_many_buckets(steps, MAX_RETAINED_BUCKETS)
        self._next = first
        self._last = last

    def take(self, buckets: int) -> TimeRange | None:
        """The range of the next buckets, at most that many; None after the last one."""
        if self._next > self._last:
            return None
        first = last = self._next
        following = self._after(last)
        for _ in range(buckets - 1):
            if following > self._last:
                break
            last, following = following, self._after(following)
        self._next = following
        return TimeRange(first, last, self._zone)

    def _after(self, start: datetime) -> datetime:
        if self._zone is None:
            return next_local_start(start, self._interval)
        return next_bucket_start(start, self._interval, self._zone)
