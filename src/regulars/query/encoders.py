"""Values as a report gives them: from what the engines return to what goes out."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from regulars.core.money import EXACT_CONTEXT, from_minor_units
from regulars.reports.report import FieldType

Encoder = Callable[[Any], Any]

PERCENT_DIGITS = 2


def format_timestamp(at: datetime) -> str:
    """An instant in UTC with six decimals and Z; without a zone it is UTC."""
    if at.tzinfo is not None and at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _document(value: Any) -> Any:
    return msgspec.Raw(value.encode()) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    # The driver gives whole numbers of the database as 16E+6.
    return (
        value.quantize(Decimal(1), context=EXACT_CONTEXT)
        if isinstance(value, Decimal) and value == value.to_integral()
        else value
    )


def _date(value: date) -> str:
    return value.isoformat()


def encoder_for(kind: FieldType, minor_digits: int) -> Encoder | None:
    """How a value of a kind goes out, for a customer whose money has so many digits; None is as it is. Null stays."""
    if kind is FieldType.MONEY:
        return lambda value: from_minor_units(value, minor_digits)
    if kind is FieldType.PERCENT:
        return lambda value: from_minor_units(value, PERCENT_DIGITS)
    return _ALIKE.get(kind)


_ALIKE: dict[FieldType, Encoder] = {
    FieldType.INTEGER: int,
    FieldType.NUMBER: _number,
    FieldType.TIMESTAMP: format_timestamp,
    FieldType.DATE: _date,
    FieldType.OBJECT: _document,
}


def encode_value(value: Any, kind: FieldType, minor_digits: int) -> Any:
    """One value as it goes out."""
    convert = encoder_for(kind, minor_digits)
    return value if value is None or convert is None else convert(value)


def encode_flags(trues: Any, falses: Any) -> dict[str, bool]:
    """An object of booleans from the names that are true and those that are false, by name."""
    found = {**dict.fromkeys(trues or (), True), **dict.fromkeys(falses or (), False)}
    return dict(sorted(found.items()))
