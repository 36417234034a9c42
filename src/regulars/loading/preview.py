"""Shows rows as they would be stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec

# What only the loader needs, and ids that a dry run does not keep.
_HIDDEN = {
    "fingerprint",
    "default_zone",
    "location_zone",
    "amount",
    "amount_currency",
    "profile_id",
    "location_id",
    "local_time",
}


def preview_row(row: Any) -> dict[str, object]:
    """The fields of a parsed row that have a value, for people to read; times are in UTC."""
    shown = _fields(row)
    if isinstance(shown.get("profile"), list):
        # The kind of name and the name.
        shown["profile"] = shown["profile"][-1]  # type: ignore[index]
    if "location_ref" in shown:
        shown["location"] = shown.pop("location_ref")
    return shown


def _fields(row: Any) -> dict[str, object]:
    return {name: _value(value) for name, value in _items(row) if name not in _HIDDEN and not _is_empty(value)}


def _items(row: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(row, Mapping):
        yield from ((str(name), value) for name, value in row.items())
        return
    names = [each.name for each in fields(row)] if is_dataclass(row) else row.__struct_fields__
    for name in names:
        yield name, getattr(row, name)


def _value(value: Any) -> object:
    if isinstance(value, Mapping | msgspec.Struct) or (is_dataclass(value) and not isinstance(value, type)):
        return _fields(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str | int | float | bool | date | msgspec.Raw):
        return value
    if isinstance(value, Sequence | set | frozenset):
        return [_value(each) for each in value]
    return str(value)


def _is_empty(value: object) -> bool:
    return value is None or value is msgspec.UNSET or value is False or value in ("", (), [], {}, frozenset())
