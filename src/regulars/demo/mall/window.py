"""The last part of a club's history, of which there are messages, visits and offers."""

from datetime import datetime, timedelta

from msgspec import Struct


class HistoryWindow(Struct, frozen=True, eq=False):
    """So many days before `as_of`, in UTC.

    throughput:  the dispatches of a mailing that go out in a second
    crowd:       how many members there are, as a multiple of the small club's
    """

    as_of: datetime
    days: int
    throughput: float
    size_factor: float
    seed: int

    @property
    def start(self) -> datetime:
        """When it begins."""
        return self.as_of - timedelta(days=self.days)
