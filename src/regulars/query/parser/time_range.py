"""The time range of a request, in the time zone of its tenants."""

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
    """From `start` to `end`: instants where all tenants share a time zone, else local times, the same in each zone."""

    start: datetime
    end: datetime
    zone: ZoneInfo | None

    @property
    def timezone_name(self) -> str:
        """The time zone of the range, or `local`."""
        return self.zone.key if self.zone is not None else LOCAL_TIMEZONE

    @property
    def duration(self) -> timedelta:
        """The length of the range."""
        return self.end - self.start

    def instants_in(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The start and end, in UTC, for a tenant in a time zone."""
        if self.zone is not None:
            return self.start, self.end
        return timestamps.local_to_utc(self.start, zone.key), timestamps.local_to_utc(self.end, zone.key)

    def parameters(self, tenant: Tenant) -> dict[str, datetime]:
        """The parameters `from` and `to` of statements for a tenant."""
        start, end = self.instants_in(timestamps.zone_info(tenant.timezone))
        return {"from": start, "to": end}

    def format(self, at: datetime) -> str:
        """Formats a time as ISO 8601 with milliseconds; with an offset unless the tenants have several time zones."""
        return (
            at.astimezone(self.zone).isoformat(timespec="milliseconds") if self.zone is not None else _format_local(at)
        )


def _format_local(local_time: datetime) -> str:
    return local_time.isoformat(timespec="milliseconds")


def resolve_range(query: ReportQuery, tenants: Sequence[Tenant]) -> TimeRange:
    """The time range of a query.

    With one time zone, times without an offset are local to it. With several, both times are converted to UTC and the
    result is taken as local time in each zone. Raises InvalidParametersError where the range ends before it begins.
    """
    names = {each.timezone for each in tenants}
    zone = timestamps.zone_info(names.pop()) if len(names) == 1 else None
    start, end = (_resolve(each, zone) for each in (query.start, query.end))
    if start > end:
        raise invalid_parameter(("to",), "greater_than_or_equal_to", "Must not be before 'from'.", than="from")
    return TimeRange(start, end, zone)


def _resolve(at: datetime | None, zone: ZoneInfo | None) -> datetime:
    if at is None:
        raise ValueError("a time range needs a start and an end")
    if at.tzinfo is not None:
        at = at.astimezone(UTC)
        return at if zone is not None else at.replace(tzinfo=None)
    return at if zone is None else timestamps.local_to_utc(at, zone.key)
