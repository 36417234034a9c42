"""Periods of local dates: presets such as the last 30 days, and the periods that they are compared with."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from regulars.dashboard.translations import translatable

PRESETS = {
    "today": translatable("Today"),
    "yesterday": translatable("Yesterday"),
    "7d": translatable("Last 7 days"),
    "30d": translatable("Last 30 days"),
    "60d": translatable("Last 60 days"),
    "90d": translatable("Last 90 days"),
    "12mo": translatable("Last 12 months"),
    "this_week": translatable("This week"),
    "this_month": translatable("This month"),
    "this_year": translatable("This year"),
}
"""The names of the presets by their code in links."""

DEFAULT = "30d"

_LAST = re.compile(r"([1-9][0-9]{0,2})(d|w|mo|y)")


@dataclass(frozen=True, slots=True)
class Period:
    """Local dates from `start` to the day before `end`."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.end - self.start).days

    @property
    def last_day(self) -> date:
        """The last day of the period."""
        return self.end - timedelta(days=1)

    @property
    def previous(self) -> "Period":
        """The period of the same length before it."""
        return Period(self.start - timedelta(days=self.days), self.start)

    @property
    def year_before(self) -> "Period":
        """The same dates a year before; 29 February becomes 28 February."""
        return Period(add_months(self.start, -12), add_months(self.end, -12))

    @property
    def range(self) -> dict[str, str]:
        """`from` and `to` of a request: local midnights."""
        return {"from": self.start.isoformat(), "to": self.end.isoformat()}


def resolve(code: str, today: date) -> Period | None:
    """The dates of a preset, or of the last number of days, weeks, months or years, today included; None if unknown."""
    tomorrow = today + timedelta(days=1)
    starts = {
        "today": today,
        "this_week": today - timedelta(days=today.weekday()),
        "this_month": today.replace(day=1),
        "this_year": today.replace(month=1, day=1),
    }
    if code in starts:
        return Period(starts[code], tomorrow)
    if code == "yesterday":
        return Period(today - timedelta(days=1), today)
    found = _LAST.fullmatch(code)
    if found is None:
        return None
    number, unit = int(found[1]), found[2]
    if unit in ("mo", "y"):
        return Period(add_months(tomorrow, -number * (12 if unit == "y" else 1)), tomorrow)
    return Period(tomorrow - timedelta(days=number * (7 if unit == "w" else 1)), tomorrow)


def between(first: str, last: str) -> Period | None:
    """The period of two dates of a form, the last included; None if they are no dates, or in the wrong order."""
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return Period(start, end) if start < end and start.year >= 1900 and end.year < 3000 else None


def of_range(start: str, end: str) -> Period | None:
    """The period of `from` and `to` of a request; None if they are not whole days."""
    try:
        found = Period(date.fromisoformat(start[:10]), date.fromisoformat(end[:10]))
    except ValueError:
        return None
    return found if found.start < found.end else None


def add_months(day: date, months: int) -> date:
    """The date some months later, or earlier; the last day of a month where the day is missing."""
    number = 12 * day.year + day.month - 1 + months
    year, month = max(1, number // 12), number % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
