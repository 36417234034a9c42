"""The meaning of filters in plain Python: two-valued logic over one row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

ORDER_OPERATORS = {
    "greater_than": lambda a, b: a > b,
    "greater_or_equal_to": lambda a, b: a >= b,
    "less_than": lambda a, b: a < b,
    "less_or_equal_to": lambda a, b: a <= b,
}


def matches(tree: Any, row: Mapping[str, Any]) -> bool:
    """Whether a row passes a filter."""
    kind = tree["type"]
    if kind == "and":
        return all(matches(each, row) for each in tree["operations"])
    if kind == "or":
        return any(matches(each, row) for each in tree["operations"])
    if kind == "not":
        return not matches(tree["operation"], row)
    if kind in ("not_equal", "not_in"):
        return not matches({**tree, "type": kind.removeprefix("not_")}, row)
    return compare(kind, field_value(tree["field"], row), tree["value"])


def field_value(name: str, row: Mapping[str, Any]) -> Any:
    """The value of a field as it is outside."""
    if name.startswith("consents."):
        consent = name.removeprefix("consents.")
        return True if consent in row["consents_true"] else False if consent in row["consents_false"] else None
    if name.startswith("properties."):
        return row["properties"].get(name.removeprefix("properties."))
    if name == "is_many":
        return None if row["points"] is None else row["points"] > 2
    if name in ("spent", "share"):
        return None if row[name] is None else Decimal(row[name]) / 100
    return row[name]


def compare(kind: str, value: Any, other: Any) -> bool:
    """One comparison. A comparison with null is false, unless it compares with null."""
    if kind == "equal":
        return equal_values(value, other)
    if kind == "in":
        if isinstance(value, list):
            return any(each in value if each is not None else not value for each in other)
        return any(equal_values(value, each) for each in other)
    if value is None:
        return False
    if kind == "between":
        return is_number(value) and parse_like(other[0], value) <= value <= parse_like(other[1], value)
    if kind in ORDER_OPERATORS:
        return is_number(value) and ORDER_OPERATORS[kind](value, parse_like(other, value))
    if isinstance(value, list):
        return other in value
    if not isinstance(value, str):
        return False
    return value.startswith(other) if kind == "starts_with" else other in value


def is_number(value: Any) -> bool:
    """Whether a value has an order; a boolean has none."""
    return not isinstance(value, bool | str)


def parse_like(text: Any, like: Any) -> Any:
    """A filter's value as what it is compared with."""
    if isinstance(like, datetime):
        return datetime.fromisoformat(text)
    if isinstance(like, date):
        return date.fromisoformat(text)
    return exact(text)


def exact(number: Any) -> Any:
    """Numbers as they were written."""
    return Decimal(str(number)) if isinstance(number, float) else number


def equal_values(value: Any, other: Any) -> bool:
    """Whether two values are equal: null to null alone, an empty list to null, a boolean to no number."""
    if other is None or value is None:
        return other is None and (value is None or value == [])
    if isinstance(value, datetime | date):
        return bool(parse_like(other, value) == value)
    if isinstance(value, bool | str) or isinstance(other, bool | str):
        return type(value) is type(other) and value == other
    return bool(exact(value) == exact(other))
