"""How wide the buckets of a timeseries are, and how long they are kept."""

from datetime import timedelta
from enum import Enum


class Interval(Enum):
    """A width of buckets: its name outside, and how long after its end a bucket is kept; None is forever."""

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
        """How long after its end a bucket is kept."""
        term: timedelta | None = self.value[1]
        return term


ALL_INTERVALS = tuple(Interval)
HOURLY_AND_UP = ALL_INTERVALS[1:]

GRANULARITIES = [interval.code for interval in ALL_INTERVALS]
"""The codes of all intervals, as statements take them."""
