"""What a filter may compare a field with: the operations of each kind, and its values as they are inside."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

from regulars.facts import instants
from regulars.query.problems import Problem, not_among
from regulars.reports.report import Field, Kind

EQUALITY = ("equal", "not_equal", "in", "not_in")
ORDER = ("greater_than", "greater_or_equal_to", "less_than", "less_or_equal_to", "between")
TEXT = ("starts_with", "contains")

_ORDERED = (*EQUALITY, *ORDER)
_LISTED = (*EQUALITY, "contains")

OPERATIONS: Mapping[Kind, tuple[str, ...]] = {
    Kind.INTEGER: _ORDERED,
    Kind.NUMBER: _ORDERED,
    Kind.MONEY: _ORDERED,
    Kind.PERCENT: _ORDERED,
    Kind.STRING: (*EQUALITY, *TEXT),
    Kind.BOOLEAN: EQUALITY,
    Kind.DATE: _ORDERED,
    Kind.TIME: _ORDERED,
    Kind.INTEGERS: _LISTED,
    Kind.STRINGS: _LISTED,
    Kind.FLAGS: EQUALITY,
    Kind.OBJECT: (*_ORDERED, *TEXT),
}
LISTS = frozenset((Kind.INTEGERS, Kind.STRINGS))
BY_DOT = frozenset((Kind.FLAGS, Kind.OBJECT))

LONGEST = 1_000
"""No text of a filter has more characters."""
MOST_VALUES = 10_000
"""The lists of a filter have no more values in all."""
MOST_DECIMALS = 15
LARGEST = Decimal(10) ** 14
"""No number with decimals of a filter reaches this, so that its minor units fit 64 bits."""
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1

Value = int | Decimal | str | bool | datetime | date | None


class MisfitError(Exception):
    """A value that does not fit its field."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.message)


def _misfit(code: str, message: str, **options: object) -> MisfitError:
    return MisfitError(Problem(code, message, options))


def _integer(value: object) -> int:
    if type(value) is not int:
        raise _misfit("not_an_integer", "Must be a whole number, such as 42.")
    if value > LARGEST_INTEGER:
        raise _misfit("less_than_or_equal_to", f"Must be at most {LARGEST_INTEGER}.", count=LARGEST_INTEGER)
    if value < SMALLEST_INTEGER:
        raise _misfit("greater_than_or_equal_to", f"Must be at least {SMALLEST_INTEGER}.", count=SMALLEST_INTEGER)
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
    if not found.is_finite() or (found and found.adjusted() >= LARGEST.adjusted()):
        raise _misfit("not_a_number", f"Must be a number below {LARGEST:f} in size.")
    exponent = found.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MOST_DECIMALS:
        raise _misfit("not_a_number", f"Must be a number of at most {MOST_DECIMALS} decimals.")
    # Written out, for engines do not read every exponent: 0E+99999 is 0.
    if not found:
        return Decimal(0)
    return Decimal(int(found)) if found == found.to_integral_value() else found


def text(value: object) -> str:
    """A text of a filter. Raises MisfitError."""
    if not isinstance(value, str):
        raise _misfit("not_a_string", "Must be a text in quotes.")
    if "\0" in value:
        raise _misfit("invalid_characters", "Must not hold the character NUL.")
    if len(value) > LONGEST:
        raise _misfit("too_long", f"Must have at most {LONGEST} characters.", maximum=LONGEST)
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _misfit("not_a_boolean", "Must be true or false.")
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise _misfit("invalid_iso_8601_time", "Must be a time in ISO 8601, such as 2026-11-24T08:00:00Z.")
    try:
        return instants.instant(value)
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


def _of_any_type(value: object) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int | Decimal):
        return _number(value)
    raise _misfit("not_a_scalar", "Must be a text, a number, true, false or null.")


_CHECKS: Mapping[Kind, Callable[[object], Value]] = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.MONEY: _number,
    Kind.PERCENT: _number,
    Kind.STRING: text,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.INTEGERS: _integer,
    Kind.STRINGS: text,
    Kind.FLAGS: _boolean,
    Kind.OBJECT: _of_any_type,
}


Check = Callable[[object], Value]


def check(operation: str, field: Field) -> Check:
    """What makes a value, of a list each element, what the field has inside; it raises MisfitError.

    Money and percentages stay the decimals that they are outside: minor units depend on the customer.
    """
    if field.kind is Kind.OBJECT and operation in ORDER:
        return _number
    if operation in TEXT and field.kind not in LISTS:
        return text
    return _one_of(field) if field.values else _CHECKS[field.kind]


def _one_of(field: Field) -> Check:
    checked = _CHECKS[field.kind]
    names = {each.name for each in field.values}

    def among(value: object) -> Value:
        found = checked(value)
        if str(found) not in names:
            raise MisfitError(not_among((each.name for each in field.values), "The value"))
        return found

    return among
