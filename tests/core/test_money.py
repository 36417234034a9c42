"""Money is exact, or it is refused."""

from decimal import Decimal

import pytest

from regulars.core import money


@pytest.mark.parametrize("text", ["0", "100", "123.45", "-5.5", "999999999999.999999", "1.5E-3", "1E+3"])
def test_a_sum_in_range_stays_exactly_what_it_is(text: str) -> None:
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
def test_what_can_not_be_kept_exactly_is_refused(text: str, message: str) -> None:
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


def test_currencies_keep_their_minor_unit_and_at_least_two_decimals() -> None:
    assert [money.minor_digits(code) for code in ("NOK", "JPY", "KWD", "CLF")] == [2, 2, 3, 4]
    assert money.from_minor_units(-5, 2) == Decimal("-0.05")
    assert str(money.from_minor_units(200000, 2)) == "2000.00"


@pytest.mark.parametrize("text", ["XXZ", "", "kroner", "NO"])
def test_what_is_no_currency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        money.parse_currency(text)
