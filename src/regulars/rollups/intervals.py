"""Intervals: the widths of the buckets of timeseries, and how long buckets are retained."""

from datetime import timedelta
from enum import Enum


class Interval(Enum):
    """A width of buckets: its code in the API, and how long a bucket is retained after its end (None: forever)."""

    MINUTES_5 = "5m", timedelta(days=14)
    HOUR = "1h", timedelta(days=184)
    DAY = "1d", timedelta(days=731)
    WEEK = "1w", None
    MONTH = "1mo", None

    @property
    def code(self) -> str:
        """Its name outside, such as 1d."""
        name: str = self.value[0]
        return name

    @property
    def retention(self) -> timedelta | None:
        """How long a bucket is retained after its end."""
        term: timedelta | None = self.value[1]
        return term


ALL_INTERVALS = tuple(Interval)
HOURLY_AND_UP = ALL_INTERVALS[1:]

GRANULARITIES = [interval.code for interval in ALL_INTERVALS]
"""The codes of all intervals, as statements take them."""
