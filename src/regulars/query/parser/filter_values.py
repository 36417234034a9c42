"""The operations and values that a filter may use with each type of field, and the validation of values."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

from regulars.core import timestamps
from regulars.core.field_type import FieldType
from regulars.query.errors import ParameterError, json_type, not_in
from regulars.reports.report import ReportField

EQUALITY_OPERATIONS = ("equal", "not_equal", "in", "not_in")
ORDER_OPERATIONS = ("greater_than", "greater_or_equal_to", "less_than", "less_or_equal_to", "between")
TEXT_OPERATIONS = ("starts_with", "contains")

_ORDERED = (*EQUALITY_OPERATIONS, *ORDER_OPERATIONS)
_LISTED = (*EQUALITY_OPERATIONS, "contains")

OPERATIONS: Mapping[FieldType, tuple[str, ...]] = {
    FieldType.INTEGER: _ORDERED,
    FieldType.NUMBER: _ORDERED,
    FieldType.MONEY: _ORDERED,
    FieldType.PERCENT: _ORDERED,
    FieldType.STRING: (*EQUALITY_OPERATIONS, *TEXT_OPERATIONS),
    FieldType.BOOLEAN: EQUALITY_OPERATIONS,
    FieldType.DATE: _ORDERED,
    FieldType.TIMESTAMP: _ORDERED,
    FieldType.INTEGER_LIST: _LISTED,
    FieldType.STRING_LIST: _LISTED,
    FieldType.FLAGS: EQUALITY_OPERATIONS,
    FieldType.OBJECT: (*_ORDERED, *TEXT_OPERATIONS),
}
LIST_TYPES = frozenset((FieldType.INTEGER_LIST, FieldType.STRING_LIST))
OBJECT_TYPES = frozenset((FieldType.FLAGS, FieldType.OBJECT))

MAX_TEXT_LENGTH = 1_000
"""Characters of a string in a filter."""
MAX_LIST_VALUES = 10_000
"""Values in all arrays of a filter together."""
MAX_DECIMALS = 15
NUMBER_LIMIT = Decimal(10) ** 14
"""Decimals in a filter are below this in size, so that their minor units fit 64 bits."""
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

FilterValue = int | Decimal | str | bool | datetime | date | None


class InvalidValueError(Exception):
    """Raised for a value that is not valid for its field."""

    def __init__(self, detail: ParameterError) -> None:
        self.detail = detail
        super().__init__(detail.message)


def _invalid(code: str, message: str, **options: object) -> InvalidValueError:
    return InvalidValueError(ParameterError(code, message, options))


def _integer(value: object) -> int:
    if type(value) is not int:
        raise _invalid("not_an_integer", f"Must be an integer, such as 42, not {json_type(value)}.")
    if value > MAX_INTEGER:
        raise _invalid("less_than_or_equal_to", f"Must be at most {MAX_INTEGER}.", count=MAX_INTEGER)
    if value < MIN_INTEGER:
        raise _invalid("greater_than_or_equal_to", f"Must be at least {MIN_INTEGER}.", count=MIN_INTEGER)
    return value


# Most numbers match this and need no further checks.
_common_number = re.compile(r"-?[0-9]{1,9}\.[0-9]{1,9}").fullmatch


def _number(value: object) -> Decimal:
    if type(value) is int:
        found = Decimal(value)
    elif isinstance(value, Decimal):
        if _common_number(str(value)):
            return value
        found = value
    else:
        raise _invalid("not_a_number", f"Must be a number, such as 42.5, not {json_type(value)}.")
    if not found.is_finite() or (found and found.adjusted() >= NUMBER_LIMIT.adjusted()):
        raise _invalid("not_a_number", f"Must be a number between -{NUMBER_LIMIT:f} and {NUMBER_LIMIT:f}, exclusive.")
    exponent = found.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
        raise _invalid("not_a_number", f"Must have at most {MAX_DECIMALS} decimals.")
    # Without exponents, which not every engine can parse: 0E+99999 is 0.
    if not found:
        return Decimal(0)
    return Decimal(int(found)) if found == found.to_integral_value() else found


def check_text(value: object) -> str:
    """Validates a string of a filter. Raises InvalidValueError."""
    if not isinstance(value, str):
        raise _invalid("not_a_string", f"Must be a string, not {json_type(value)}.")
    if "\0" in value:
        raise _invalid("invalid_characters", "Must not contain the NUL character.")
    if len(value) > MAX_TEXT_LENGTH:
        raise _invalid("too_long", f"Must have at most {MAX_TEXT_LENGTH} characters.", maximum=MAX_TEXT_LENGTH)
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _invalid("not_a_boolean", f"Must be true or false, not {json_type(value)}.")
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise _invalid("invalid_iso_8601_time", "Must be a time in ISO 8601, such as 2026-11-24T08:00:00Z.")
    try:
        return timestamps.parse_timestamp(value)
    except ValueError:
        raise _invalid(
            "invalid_iso_8601_time",
            "Must be a time in ISO 8601, such as 2026-11-24T08:00:00Z, in the years 1900 to 2999.",
        ) from None


def _date(value: object) -> date:
    wrong = _invalid("invalid_iso_8601_date", "Must be a date in ISO 8601, such as 2026-11-24.")
    if not isinstance(value, str):
        raise wrong
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise wrong from None


def _scalar(value: object) -> FilterValue:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, int | Decimal):
        return _number(value)
    raise _invalid("not_a_scalar", f"Must be a string, a number, a boolean or null, not {json_type(value)}.")


_VALIDATORS: Mapping[FieldType, Callable[[object], FilterValue]] = {
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.MONEY: _number,
    FieldType.PERCENT: _number,
    FieldType.STRING: check_text,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _date,
    FieldType.TIMESTAMP: _time,
    FieldType.INTEGER_LIST: _integer,
    FieldType.STRING_LIST: check_text,
    FieldType.FLAGS: _boolean,
    FieldType.OBJECT: _scalar,
}


Validator = Callable[[object], FilterValue]


def validator_for(operation: str, field: ReportField) -> Validator:
    """The function that validates and converts a value, or each element of an array; it raises InvalidValueError.

    Money and percentages stay decimals, as in the request: minor units depend on the tenant.
    """
    if field.type is FieldType.OBJECT and operation in ORDER_OPERATIONS:
        return _number
    if operation in TEXT_OPERATIONS and field.type not in LIST_TYPES:
        return check_text
    return _enum_validator(field) if field.values else _VALIDATORS[field.type]


def _enum_validator(field: ReportField) -> Validator:
    validate = _VALIDATORS[field.type]
    names = {each.name for each in field.values}

    def validate_enum(value: object) -> FilterValue:
        found = validate(value)
        if str(found) not in names:
            raise InvalidValueError(not_in((each.name for each in field.values), "value", found))
        return found

    return validate_enum
