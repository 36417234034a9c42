"""Numbers, amounts and dates in the languages of the pages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from regulars.dashboard.rendering import as_date, as_instant
from regulars.dashboard.translations import locales

ENGLISH, NORWEGIAN = locales()["en"], locales()["nb"]


@pytest.mark.parametrize(
    ("value", "currency", "digits", "english", "norwegian"),
    [
        (1234.5, "NOK", None, "NOK 1,234.50", "1 234,50 kr"),
        (1234.5, "NOK", 0, "NOK 1,234", "1 234 kr"),
        (1234.5, "GBP", None, "£1,234.50", "1 234,50 £"),
        (-5, "JPY", None, "-JP¥5", "-5 JPY"),
    ],
)
def test_an_amount_has_its_currency(
    value: float, currency: str, digits: int | None, english: str, norwegian: str
) -> None:
    assert ENGLISH.money(value, currency, digits).replace("\u00a0", " ") == english
    assert NORWEGIAN.money(value, currency, digits).replace("\u00a0", " ") == norwegian


def test_numbers_have_separators_and_as_many_decimals_as_they_need() -> None:
    assert [ENGLISH.number(each) for each in (0, 1234567, 0.5, 1.23456)] == ["0", "1,234,567", "0.5", "1.2346"]
    assert NORWEGIAN.number(1234567.5, 2).replace("\u00a0", " ") == "1 234 567,50"
    assert [ENGLISH.compact(each) for each in (9999, 12_345, 1_234_567)] == ["9,999", "12.3k", "1.2m"]
    assert ENGLISH.percent(0.1234).replace("\u00a0", " ") == "12.3 %"


def test_dates_are_local() -> None:
    late = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert ENGLISH.moment(late, ZoneInfo("Europe/Oslo")) == "1 Jan 2027 00:30"
    assert NORWEGIAN.date(date(2026, 5, 1)) == "1. mai 2026"
    assert as_instant("2026-12-31 23:30:00") == late
    assert as_instant(late) is late
    assert [as_date(each) for each in ("2026-05-01T10:00:00Z", late, date(2026, 5, 1))] == [
        date(2026, 5, 1),
        date(2026, 12, 31),
        date(2026, 5, 1),
    ]
