"""From when to when a request asks, as the clocks of its customers say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from regulars.access.customers import Customer
from regulars.facts import instants
from regulars.query.problems import invalid
from regulars.query.query import Query

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Range:
    """From `start` to `end`: instants where all customers are in one zone, else wall times, the same in each zone."""

    start: datetime
    end: datetime
    zone: ZoneInfo | None

    @property
    def name(self) -> str:
        """The zone that it is read in, or `local`."""
        return self.zone.key if self.zone is not None else LOCAL

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    def within(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The instants, in UTC, at which it begins and ends for a customer in a zone."""
        if self.zone is not None:
            return self.start, self.end
        return instants.local_instant(self.start, zone.key), instants.local_instant(self.end, zone.key)

    def written(self, at: datetime) -> str:
        """A time of it, ISO 8601 with milliseconds: with its zone's offset, or without one where there are several."""
        return at.astimezone(self.zone).isoformat(timespec="milliseconds") if self.zone is not None else _plain(at)


def _plain(wall: datetime) -> str:
    return wall.isoformat(timespec="milliseconds")


def asked(query: Query, customers: Sequence[Customer]) -> Range:
    """The range that a query asks about.

    With one zone, what has no offset is read in it. With several, both times are UTC, and what they say there is wall
    time in each zone. Raises InvalidParametersError where it ends before it begins.
    """
    names = {each.timezone for each in customers}
    zone = instants.zone(names.pop()) if len(names) == 1 else None
    start, end = (_read(each, zone) for each in (query.start, query.end))
    if start > end:
        raise invalid(("to",), "greater_than_or_equal_to", "Must not be before from.", than="from")
    return Range(start, end, zone)


def _read(at: datetime | None, zone: ZoneInfo | None) -> datetime:
    if at is None:
        raise ValueError("a range needs both of its ends")
    if at.tzinfo is not None:
        at = at.astimezone(UTC)
        return at if zone is not None else at.replace(tzinfo=None)
    return at if zone is None else instants.local_instant(at, zone.key)
