"""What a filter may compare a field with: the operations of each kind, and its values as they are inside."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

from regulars.core import timestamps
from regulars.query.errors import ParameterError, not_in
from regulars.reports.report import FieldType, ReportField

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
"""No text of a filter has more characters."""
MAX_LIST_VALUES = 10_000
"""The lists of a filter have no more values in all."""
MAX_DECIMALS = 15
NUMBER_LIMIT = Decimal(10) ** 14
"""No number with decimals of a filter reaches this, so that its minor units fit 64 bits."""
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

FilterValue = int | Decimal | str | bool | datetime | date | None


class InvalidValueError(Exception):
    """A value that does not fit its field."""

    def __init__(self, problem: ParameterError) -> None:
        self.detail = problem
        super().__init__(problem.message)


def _misfit(code: str, message: str, **options: object) -> InvalidValueError:
    return InvalidValueError(ParameterError(code, message, options))


def _integer(value: object) -> int:
    if type(value) is not int:
        raise _misfit("not_an_integer", "Must be a whole number, such as 42.")
    if value > MAX_INTEGER:
        raise _misfit("less_than_or_equal_to", f"Must be at most {MAX_INTEGER}.", count=MAX_INTEGER)
    if value < MIN_INTEGER:
        raise _misfit("greater_than_or_equal_to", f"Must be at least {MIN_INTEGER}.", count=MIN_INTEGER)
    return value


# What most numbers look like.
_ordinary = re.compile(r"-?[0-9]{1,9}\.[0-9]{1,9}").fullmatch


def _number(value: object) -> Decimal:
    if type(value) is int:
        found = Decimal(value)
    elif isinstance(value, Decimal):
        if _ordinary(str(value)):
            return value
        found = value
    else:
        raise _misfit("not_a_number", "Must be a number, such as 42.5.")
    if not found.is_finite() or (found and found.adjusted() >= NUMBER_LIMIT.adjusted()):
        raise _misfit("not_a_number", f"Must be a number below {NUMBER_LIMIT:f} in size.")
    exponent = found.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
        raise _misfit("not_a_number", f"Must be a number of at most {MAX_DECIMALS} decimals.")
    # Written out, for engines do not read every exponent: 0E+99999 is 0.
    if not found:
        return Decimal(0)
    return Decimal(int(found)) if found == found.to_integral_value() else found


def check_text(value: object) -> str:
    """A text of a filter. Raises InvalidValueError."""
    if not isinstance(value, str):
        raise _misfit("not_a_string", "Must be a text in quotes.")
    if "\0" in value:
        raise _misfit("invalid_characters", "Must not hold the character NUL.")
    if len(value) > MAX_TEXT_LENGTH:
        raise _misfit("too_long", f"Must have at most {MAX_TEXT_LENGTH} characters.", maximum=MAX_TEXT_LENGTH)
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _misfit("not_a_boolean", "Must be true or false.")
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise _misfit("invalid_iso_8601_time", "Must be a time in ISO 8601, such as 2026-11-24T08:00:00Z.")
    try:
        return timestamps.parse_timestamp(value)
    except ValueError:
        raise _misfit(
            "invalid_iso_8601_time",
            "Must be a time in ISO 8601, such as 2026-11-24T08:00:00Z, in the years 1900 to 2999.",
        ) from None


def _date(value: object) -> date:
    wrong = _misfit("invalid_iso_8601_date", "Must be a date in ISO 8601, such as 2026-11-24.")
    if not isinstance(value, str):
        raise wrong
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise wrong from None


def _of_any_type(value: object) -> FilterValue:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, int | Decimal):
        return _number(value)
    raise _misfit("not_a_scalar", "Must be a text, a number, true, false or null.")


_CHECKS: Mapping[FieldType, Callable[[object], FilterValue]] = {
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
    FieldType.OBJECT: _of_any_type,
}


Validator = Callable[[object], FilterValue]


def validator_for(operation: str, field: ReportField) -> Validator:
    """What makes a value, of a list each element, what the field has inside; it raises InvalidValueError.

    Money and percentages stay the decimals that they are outside: minor units depend on the customer.
    """
    if field.type is FieldType.OBJECT and operation in ORDER_OPERATIONS:
        return _number
    if operation in TEXT_OPERATIONS and field.type not in LIST_TYPES:
        return check_text
    return _one_of(field) if field.values else _CHECKS[field.type]


def _one_of(field: ReportField) -> Validator:
    checked = _CHECKS[field.type]
    names = {each.name for each in field.values}

    def among(value: object) -> FilterValue:
        found = checked(value)
        if str(found) not in names:
            raise InvalidValueError(not_in((each.name for each in field.values), "The value"))
        return found

    return among
