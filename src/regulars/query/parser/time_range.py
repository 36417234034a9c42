"""From when to when a request asks, as the clocks of its customers say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query.errors import invalid_parameter
from regulars.query.query import ReportQuery

LOCAL_TIMEZONE = "local"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start` to `end`: instants where all customers are in one zone, else wall times, the same in each zone."""

    start: datetime
    end: datetime
    zone: ZoneInfo | None

    @property
    def timezone_name(self) -> str:
        """The zone that it is read in, or `local`."""
        return self.zone.key if self.zone is not None else LOCAL_TIMEZONE

    @property
    def duration(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    def instants_in(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The instants, in UTC, at which it begins and ends for a customer in a zone."""
        if self.zone is not None:
            return self.start, self.end
        return timestamps.local_to_utc(self.start, zone.key), timestamps.local_to_utc(self.end, zone.key)

    def format(self, at: datetime) -> str:
        """A time of it, ISO 8601 with milliseconds: with its zone's offset, or without one where there are several."""
        return at.astimezone(self.zone).isoformat(timespec="milliseconds") if self.zone is not None else _plain(at)


def _plain(wall: datetime) -> str:
    return wall.isoformat(timespec="milliseconds")


def resolve_range(query: ReportQuery, customers: Sequence[Tenant]) -> TimeRange:
    """The range that a query asks about.

    With one zone, what has no offset is read in it. With several, both times are UTC, and what they say there is wall
    time in each zone. Raises InvalidParametersError where it ends before it begins.
    """
    names = {each.timezone for each in customers}
    zone = timestamps.zone_info(names.pop()) if len(names) == 1 else None
    start, end = (_read(each, zone) for each in (query.start, query.end))
    if start > end:
        raise invalid_parameter(("to",), "greater_than_or_equal_to", "Must not be before from.", than="from")
    return TimeRange(start, end, zone)


def _read(at: datetime | None, zone: ZoneInfo | None) -> datetime:
    if at is None:
        raise ValueError("a range needs both of its ends")
    if at.tzinfo is not None:
        at = at.astimezone(UTC)
        return at if zone is not None else at.replace(tzinfo=None)
    return at if zone is None else timestamps.local_to_utc(at, zone.key)
