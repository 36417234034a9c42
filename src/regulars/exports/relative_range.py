"""Ranges relative to a run of a schedule: the last whole hours, days, weeks or months before it."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from regulars.query.errors import ErrorCollector, ParameterError
from regulars.reports.report import ReportFormat

MAX_COUNT = 1_000

_LAST = re.compile(r"([1-9][0-9]{0,3})(h|d|w|mo)")
_MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class RelativeRange:
    """The last `count` whole units before a run; a unit is `h`, `d`, `w` (from Monday) or `mo`."""

    count: int
    unit: str

    def resolve(self, local: datetime, report_format: ReportFormat) -> dict[str, str]:
        """Returns the `from` and `to` of a run at a local time, both local.

        `to` of a time series is the last second of the range, because the bucket that contains `to` is included.
        """
        end = _floor(local, self.unit)
        start = _subtract(end, self.count, self.unit)
        if report_format is ReportFormat.TIMESERIES:
            end -= timedelta(seconds=1)
        return {"from": start.isoformat(), "to": end.isoformat()}


def parse_range(value: object, errors: ErrorCollector) -> RelativeRange | None:
    """Parses `{"last": "7d"}`; None, with an error added, if it is not valid."""
    last = value.get("last") if isinstance(value, dict) and set(value) == {"last"} else None
    match = _LAST.fullmatch(last) if isinstance(last, str) else None
    if match is None or int(match[1]) > MAX_COUNT:
        allowed = f"a number from 1 to {MAX_COUNT} and a unit: h, d, w or mo"
        message = f'Must be {{"last": ...}} with {allowed}. Example: {{"last": "7d"}}.'
        errors.add(("range",), ParameterError("invalid_range", message))
        return None
    return RelativeRange(int(match[1]), match[2])


def _floor(local: datetime, unit: str) -> datetime:
    hour = local.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    if unit == "h":
        return hour
    day = hour.replace(hour=0)
    if unit == "w":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "mo" else day


def _subtract(start: datetime, count: int, unit: str) -> datetime:
    if unit == "mo":
        months = start.year * _MONTHS_PER_YEAR + start.month - 1 - count
        return start.replace(year=months // _MONTHS_PER_YEAR, month=months % _MONTHS_PER_YEAR + 1)
    return start - count * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[unit]
