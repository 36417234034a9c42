"""The language of a chart: its words, and how numbers and times are written."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from babel import Locale, numbers
from babel.dates import format_date, format_skeleton


@lru_cache(maxsize=10_000)
def format_number(value: float | Decimal, pattern: str, locale: str) -> str:
    """A number in a pattern of CLDR, such as #,##0.00. Pages and charts show the same numbers again and again."""
    return str(_pattern(pattern).apply(value, _locale(locale)))


@cache
def _pattern(text: str) -> numbers.NumberPattern:
    return numbers.parse_pattern(text)


@cache
def _locale(text: str) -> Locale:
    return Locale.parse(text)


@lru_cache(maxsize=10_000)
def _day(year: int, month: int, day: int, locale: str) -> str:
    return str(format_skeleton("yMMMd", date(year, month, day), locale=_locale(locale)))


def _as_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class ChartLanguage:
    """A locale, such as nb or en_GB, and the translation of English texts."""

    locale: str = "en_GB"
    translate: Callable[[str], str] = _as_is

    def words(self, name: str) -> str:
        """The name of a field or measure in words, such as active buyers."""
        return self.translate(name.removeprefix("aggregations.").replace("_", " "))

    def yes_or_no(self, value: bool) -> str:
        """A boolean."""
        return self.translate("yes") if value else self.translate("no")

    def count(self, value: float | Decimal) -> str:
        """A number with as many decimals as it has, at most four."""
        return format_number(value, "#,##0.####", self.locale)

    def money(self, value: float | Decimal, currency: str) -> str:
        """An amount with the decimals of its currency, without its code."""
        digits = numbers.get_currency_precision(currency) if currency else 2
        return format_number(value, f"#,##0.{'0' * digits}" if digits else "#,##0", self.locale)

    def percent(self, value: float | Decimal) -> str:
        """A part of 1 as a percentage."""
        return format_number(value, "#,##0.0#\N{NO-BREAK SPACE}%", self.locale)

    def bucket(self, start: datetime, interval: str) -> str:
        """The name of a bucket of time by its local start."""
        day = self.day(start)
        if interval == "1mo":
            return str(format_skeleton("yMMMM", start, locale=self.locale))
        if interval == "1w":
            return f"{day} – {self.day(start + timedelta(days=6))}"
        if interval == "1d":
            return f"{format_date(start, 'EEE', self.locale)} {day}"
        return f"{day} {start:%H:%M}"

    def day(self, at: datetime) -> str:
        """The date of a time."""
        return _day(at.year, at.month, at.day, self.locale)

    def moment(self, text: str, *, is_end: bool = False) -> str:
        """A time of an answer, such as 2026-11-01T00:00:00.000+01:00, by its local date, and its time unless midnight.

        A midnight that ends a range is the day before.
        """
        at = datetime.fromisoformat(text)
        if (at.hour, at.minute) == (0, 0):
            return self.day(at - timedelta(days=1) if is_end else at)
        return f"{self.day(at)} {at:%H:%M}"


ENGLISH = ChartLanguage()


@cache
def d3_locale(locale: str) -> dict[str, Any]:
    """The definitions of a locale that the axes of Vega take: separators of numbers, names of months and days."""
    data = _locale(locale)
    symbols = data.number_symbols["latn"]
    months, days = data.months["stand-alone"], data.days["stand-alone"]
    # Babel's week begins on Monday, d3's on Sunday.
    week = (6, 0, 1, 2, 3, 4, 5)
    return {
        "number": {
            "decimal": symbols["decimal"],
            "thousands": symbols["group"],
            "grouping": [3],
            "currency": ["", ""],
            "minus": symbols["minusSign"],
            "percent": "\N{NO-BREAK SPACE}%",
        },
        "time": {
            "dateTime": "%-d %b %Y %H:%M",
            "date": "%-d %b %Y",
            "time": "%H:%M",
            "periods": ["AM", "PM"],
            "days": [days["wide"][each] for each in week],
            "shortDays": [days["abbreviated"][each] for each in week],
            "months": [months["wide"][each] for each in range(1, 13)],
            "shortMonths": [months["abbreviated"][each] for each in range(1, 13)],
        },
    }
