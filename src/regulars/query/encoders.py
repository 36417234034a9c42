"""Encodes values of the engines as report results: money, percentages, times, dates, objects."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from regulars.core.field_type import FieldType
from regulars.core.money import EXACT_CONTEXT, from_minor_units

Encoder = Callable[[Any], Any]

PERCENT_DIGITS = 2


def format_timestamp(at: datetime) -> str:
    """Formats an instant in UTC with six decimals and Z; a naive one is UTC."""
    if at.tzinfo is not None and at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _document(value: Any) -> Any:
    return msgspec.Raw(value.encode()) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    # The driver returns integral decimals in exponent form, such as 16E+6.
    return (
        value.quantize(Decimal(1), context=EXACT_CONTEXT)
        if isinstance(value, Decimal) and value == value.to_integral()
        else value
    )


def _date(value: date) -> str:
    return value.isoformat()


def encoder_for(type_: FieldType, minor_digits: int) -> Encoder | None:
    """The encoder of non-null values of a type; None where they need no encoding. `minor_digits` are those of money."""
    if type_ is FieldType.MONEY:
        return lambda value: from_minor_units(value, minor_digits)
    if type_ is FieldType.PERCENT:
        return lambda value: from_minor_units(value, PERCENT_DIGITS)
    return _ENCODERS.get(type_)


_ENCODERS: dict[FieldType, Encoder] = {
    FieldType.INTEGER: int,
    FieldType.NUMBER: _number,
    FieldType.TIMESTAMP: format_timestamp,
    FieldType.DATE: _date,
    FieldType.OBJECT: _document,
}


def encode_value(value: Any, type_: FieldType, minor_digits: int) -> Any:
    """Encodes one value, which may be null."""
    encode = encoder_for(type_, minor_digits)
    return value if value is None or encode is None else encode(value)


def encode_flags(trues: Any, falses: Any) -> dict[str, bool]:
    """Encodes lists of true and false names as an object of booleans, sorted by name."""
    found = {**dict.fromkeys(trues or (), True), **dict.fromkeys(falses or (), False)}
    return dict(sorted(found.items()))
