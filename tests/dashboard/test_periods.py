"""Periods: presets, dates of a form, and what they are compared with."""

from __future__ import annotations

from datetime import date

import pytest

from regulars.dashboard import periods
from regulars.dashboard.periods import Period

TODAY = date(2026, 12, 2)


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("today", "2026-12-02", "2026-12-02"),
        ("yesterday", "2026-12-01", "2026-12-01"),
        ("7d", "2026-11-26", "2026-12-02"),
        ("2w", "2026-11-19", "2026-12-02"),
        ("12mo", "2025-12-03", "2026-12-02"),
        ("1y", "2025-12-03", "2026-12-02"),
        ("this_week", "2026-11-30", "2026-12-02"),
        ("this_month", "2026-12-01", "2026-12-02"),
        ("this_year", "2026-01-01", "2026-12-02"),
    ],
)
def test_a_preset_ends_today(code: str, first: str, last: str) -> None:
    period = periods.resolve(code, TODAY)
    assert period is not None
    assert (period.start.isoformat(), period.last_day.isoformat()) == (first, last)


def test_unknown_presets_and_dates_in_the_wrong_order_are_no_period() -> None:
    for code in ("", "soon", "0d", "1000d", "7x"):
        assert periods.resolve(code, TODAY) is None
    for first, last in (
        ("2026-12-02", "2026-12-01"),
        ("x", "2026-12-01"),
        ("2026-02-30", ""),
        ("9999-12-31", "9999-12-31"),
    ):
        assert periods.between(first, last) is None
    assert periods.between("2026-12-01", "2026-12-01") == Period(date(2026, 12, 1), date(2026, 12, 2))
    assert periods.of_range("2026-12-01", "2026-12-02") == Period(date(2026, 12, 1), date(2026, 12, 2))
    assert periods.of_range("2026-12-02", "2026-12-01") is None
    assert periods.of_range("now", "then") is None


def test_a_period_is_compared_with_the_one_before_and_the_year_before() -> None:
    leap = Period(date(2024, 2, 1), date(2024, 2, 29))
    assert leap.previous == Period(date(2024, 1, 4), date(2024, 2, 1))
    assert leap.year_before == Period(date(2023, 2, 1), date(2023, 2, 28))
    assert leap.range == {"from": "2024-02-01", "to": "2024-02-29"}
