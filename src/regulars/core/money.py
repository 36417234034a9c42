"""Money: exact decimals on the way in, whole minor units inside."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

import pycountry

# ISO 4217 currencies with more than two decimals; every other is kept with two.
_MORE_DIGITS = {
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip

# Enough for any product of values in range; nothing is rounded on the way.
EXACT_CONTEXT = Context(prec=80)

MAX_AMOUNT = Decimal(10) ** 12
"""No sum of money of one fact reaches this, so that tens of thousands of them fit a bigint of minor units."""

MAX_DECIMALS = 6


@lru_cache(maxsize=256)
def parse_currency(text: str) -> str:
    """An ISO 4217 code in capitals. Raises ValueError when there is no such currency."""
    code = text.strip().upper()
    if len(code) != 3 or pycountry.currencies.get(alpha_3=code) is None:
        raise ValueError("must be an ISO 4217 currency such as NOK")
    return code


def minor_digits(code: str) -> int:
    """The decimals that a currency is kept with: those of its minor unit, at least 2."""
    return _MORE_DIGITS.get(code, 2)


# What most prices look like.
_ordinary = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,6})?").fullmatch


def check_decimal(value: Decimal, limit: Decimal = MAX_AMOUNT, max_decimals: int = MAX_DECIMALS) -> Decimal:
    """The value itself. Raises ValueError when it is no number, too large, or finer than `decimals`."""
    if max_decimals >= MAX_DECIMALS and _ordinary(str(value)):
        return value
    if not value.is_finite():
        raise ValueError("must be a number")
    # Not abs(), which rounds to the context, whose exponents end at 999,999.
    if value.copy_abs() >= limit:
        raise ValueError(f"must be below {limit:f} in size")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -max_decimals:
        raise ValueError(f"must have at most {max_decimals} decimals")
    # Written out, for the database does not read every exponent: 0E+99999 is 0.
    return value.quantize(Decimal(1), context=EXACT_CONTEXT) if isinstance(exponent, int) and exponent > 0 else value


def to_minor_units(value: Decimal, rate: Decimal | None, digits: int) -> int:
    """A total in minor units of the community's currency, rounded half-even once."""
    amount = value if rate is None else EXACT_CONTEXT.multiply(value, rate)
    return int(amount.scaleb(digits, EXACT_CONTEXT).quantize(Decimal(1), ROUND_HALF_EVEN, EXACT_CONTEXT))


def from_minor_units(units: int | Decimal, digits: int) -> Decimal:
    """Minor units as an exact decimal that keeps its digits: 5 with 2 digits is 0.05."""
    # The driver gives whole numbers of the database as 16E+6, which would go out without the decimals.
    return EXACT_CONTEXT.scaleb(int(units), -digits)
