"""Money: exact decimals in requests and responses, whole minor units of the currency in storage."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

import pycountry

# ISO 4217 currencies with more than two decimals; all others are stored with two.
_MORE_DIGITS = {
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip

# ISO 4217 currencies without decimals.
_NO_DIGITS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)

# Enough digits for any product of values in range, so that nothing is rounded.
EXACT_CONTEXT = Context(prec=80)

MAX_AMOUNT = Decimal(10) ** 12
"""The upper limit of an amount, so that the sum of tens of thousands of them fits a bigint of minor units."""

MAX_DECIMALS = 6


@lru_cache(maxsize=256)
def parse_currency(text: str) -> str:
    """The ISO 4217 code of a currency in upper case. Raises ValueError for an unknown one."""
    code = text.strip().upper()
    if len(code) != 3 or pycountry.currencies.get(alpha_3=code) is None:
        raise ValueError("must be an ISO 4217 currency such as NOK")
    return code


class MinorDigits(int):
    """The number of decimals that amounts of a currency are stored with, at least 2; `shown` is the currency's own.

    Amounts are shown with their own number of decimals unless more of them are not 0, such as those of an average.
    """

    shown: int

    def __new__(cls, stored: int, shown: int) -> "MinorDigits":
        """The decimals of a currency."""
        found = super().__new__(cls, stored)
        found.shown = shown
        return found


def minor_digits(code: str) -> MinorDigits:
    """The number of decimals that amounts of a currency are stored and shown with."""
    stored = _MORE_DIGITS.get(code, 2)
    return MinorDigits(stored, 0 if code in _NO_DIGITS else stored)


# The form of most prices, which needs no further checks.
_is_plain = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,6})?").fullmatch


def check_decimal(value: Decimal, limit: Decimal = MAX_AMOUNT, max_decimals: int = MAX_DECIMALS) -> Decimal:
    """Validates a number: finite, below `limit` in size, at most `max_decimals` decimals. Raises ValueError."""
    if max_decimals >= MAX_DECIMALS and _is_plain(str(value)):
        return value
    if not value.is_finite():
        raise ValueError("must be a number")
    # abs() would round to the current context, whose exponents end at 999,999.
    if value.copy_abs() >= limit:
        raise ValueError(f"must be below {limit:f} in size")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -max_decimals:
        raise ValueError(f"must have at most {max_decimals} decimals")
    # PostgreSQL does not read every exponent, such as that of 0E+99999, so the digits are written out.
    return value.quantize(Decimal(1), context=EXACT_CONTEXT) if isinstance(exponent, int) and exponent > 0 else value


def to_minor_units(value: Decimal, rate: Decimal | None, digits: int) -> int:
    """Converts an amount into minor units of the community's currency, rounded half-even once."""
    amount = value if rate is None else EXACT_CONTEXT.multiply(value, rate)
    return int(amount.scaleb(digits, EXACT_CONTEXT).quantize(Decimal(1), ROUND_HALF_EVEN, EXACT_CONTEXT))


def from_minor_units(units: int | Decimal, digits: int) -> Decimal:
    """Converts minor units into an exact decimal with all its digits: 5 with 2 digits is 0.05.

    MinorDigits of a currency with fewer decimals of its own leave out the zeros: 500 yen are 500, not 500.00.
    """
    # asyncpg returns whole numbers as 16E+6, which would be serialized without decimals.
    whole = int(units)
    if isinstance(digits, MinorDigits) and digits.shown < digits:
        major, rest = divmod(whole, 10 ** (digits - digits.shown))
        if not rest:
            return EXACT_CONTEXT.scaleb(major, -digits.shown)
    return EXACT_CONTEXT.scaleb(whole, -digits)
