"""Amounts are exact, or rejected."""

from decimal import Decimal

import pytest

from regulars.core import money


@pytest.mark.parametrize("text", ["0", "100", "123.45", "-5.5", "999999999999.999999", "1.5E-3", "1E+3"])
def test_an_amount_in_range_is_unchanged(text: str) -> None:
    assert money.check_decimal(Decimal(text)) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NaN", "must be a number"),
        ("-Infinity", "must be a number"),
        ("1000000000000", "must be below 1000000000000 in size"),
        ("1E+20", "must be below 1000000000000 in size"),
        ("1.1234567", "must have at most 6 decimals"),
        ("1.23E-10", "must have at most 6 decimals"),
    ],
)
def test_an_amount_that_can_not_be_stored_exactly_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        money.check_decimal(Decimal(text))


@pytest.mark.parametrize(
    ("total", "rate", "digits", "units"),
    [
        ("0.005", None, 2, 0),
        ("0.015", None, 2, 2),
        ("-0.025", None, 2, -2),
        ("10.00", "0.33333", 2, 333),
        ("1.0005", None, 3, 1000),
        ("99999999999.99", "1.000001", 2, 10000009999999),
    ],
)
def test_a_total_is_rounded_half_even_once(total: str, rate: str | None, digits: int, units: int) -> None:
    assert money.to_minor_units(Decimal(total), None if rate is None else Decimal(rate), digits) == units


def test_amounts_have_the_decimals_of_their_currency_and_at_least_two() -> None:
    assert [money.minor_digits(code) for code in ("NOK", "JPY", "KWD", "CLF")] == [2, 2, 3, 4]
    assert money.from_minor_units(-5, 2) == Decimal("-0.05")
    assert str(money.from_minor_units(200000, 2)) == "2000.00"


@pytest.mark.parametrize("text", ["XXZ", "", "kroner", "NO"])
def test_an_unknown_currency_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        money.parse_currency(text)


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [
        *((50000, "NOK", "500.00"), (5, "NOK", "0.05"), (0, "NOK", "0.00"), (-50000, "NOK", "-500.00")),
        *((50000, "JPY", "500"), (0, "JPY", "0"), (-50000, "JPY", "-500"), (12345600, "KRW", "123456")),
        *((3333, "JPY", "33.33"), (-3350, "JPY", "-33.50"), (1234, "KWD", "1.234"), (1000, "KWD", "1.000")),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency_unless_more_are_needed(
    units: int, currency: str, text: str
) -> None:
    assert str(money.from_minor_units(units, money.minor_digits(currency))) == text
