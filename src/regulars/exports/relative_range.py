"""Ranges relative to an instant, such as the run of a schedule: the last whole hours, days, weeks or months before it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from regulars.auth.tenants import Tenant
from regulars.core.timestamps import zone_info
from regulars.query.errors import ErrorCollector, ParameterError
from regulars.query.local_buckets import bucket_start, local_floor
from regulars.reports.report import ReportFormat
from regulars.rollups.intervals import Interval

MAX_COUNT = 1_000

_LAST = re.compile(r"([1-9][0-9]{0,3})(h|d|w|mo)")
_UNITS = {"h": Interval.HOUR, "d": Interval.DAY, "w": Interval.WEEK, "mo": Interval.MONTH}
_YEAR = range(366)


@dataclass(frozen=True, slots=True)
class RangeOrigin:
    """What a range is relative to: an instant, the time zone of its units, and the time zones of its tenants."""

    at: datetime
    zone: ZoneInfo
    tenant_zones: Sequence[ZoneInfo]

    @classmethod
    def of(cls, at: datetime, tenants: Sequence[Tenant], zone: ZoneInfo | None = None) -> "RangeOrigin":
        """The origin for tenants. The units are by default in their time zone, or in UTC if they have several."""
        zones = [zone_info(each) for each in sorted({each.timezone for each in tenants})]
        return cls(at, zone or (zones[0] if len(zones) == 1 else ZoneInfo("UTC")), zones)

    def local_time(self, zone: tzinfo) -> datetime:
        """The local time in a zone, or an earlier one that no tenant is behind.

        How much earlier depends on a whole year, so it is always the same, also while only some clocks have changed.
        """
        year = [self.at + timedelta(days=each) for each in _YEAR]
        lags = (_local(day, zone) - _local(day, each) for each in self.tenant_zones for day in year)
        return _local(self.at, zone) - max(timedelta(0), *lags)


def _local(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class RelativeRange:
    """The last `count` whole hours, days, weeks (from Monday) or months before an instant."""

    count: int
    unit: Interval

    def resolve(self, origin: RangeOrigin, report_format: ReportFormat) -> dict[str, str]:
        """Returns `from` and `to`: instants with an offset.

        For tenants in several time zones they are local times, the same in each zone, because a query converts instants
        to such times.

        `to` of a time series is the last second of the range, because the bucket that contains `to` is included.
        """
        if len(origin.tenant_zones) > 1:
            # Hours are counted in UTC, where none is skipped or repeated.
            at = origin.local_time(UTC if self.unit is Interval.HOUR else origin.zone)
            start, end = self._before(at, lambda each: local_floor(each, self.unit), report_format)
        else:
            period = self._before(origin.at, lambda each: bucket_start(each, self.unit, origin.zone), report_format)
            start, end = (each.astimezone(origin.zone) for each in period)
        return {"from": start.isoformat(), "to": end.isoformat()}

    def _before(
        self, at: datetime, floor: Callable[[datetime], datetime], report_format: ReportFormat
    ) -> tuple[datetime, datetime]:
        start = end = floor(at)
        for _ in range(self.count):
            start = floor(start - timedelta(microseconds=1))
        return start, end - timedelta(seconds=1) if report_format is ReportFormat.TIMESERIES else end


def parse_range(value: object, errors: ErrorCollector) -> RelativeRange | None:
    """Parses `{"last": "7d"}`; None, with an error added, if it is not valid."""
    last = value.get("last") if isinstance(value, dict) and set(value) == {"last"} else None
    match = _LAST.fullmatch(last) if isinstance(last, str) else None
    if match is None or int(match[1]) > MAX_COUNT:
        allowed = f"a number from 1 to {MAX_COUNT} and a unit: h, d, w or mo"
        message = f'Must be {{"last": ...}} with {allowed}. Example: {{"last": "7d"}}.'
        errors.add(("range",), ParameterError("invalid_range", message))
        return None
    return RelativeRange(int(match[1]), _UNITS[match[2]])
