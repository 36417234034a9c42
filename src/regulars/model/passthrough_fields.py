"""Fields that are only kept and echoed: declared once, stored together in a column `extra`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from regulars.core import money, validation
from regulars.core.field_type import FieldType
from regulars.model.resource import ResourceField


def amount_text(value: Decimal) -> str:
    """A sum of money as JSON keeps it exactly: a text. Raises ValueError."""
    return f"{money.check_decimal(value):f}"


_CHECKS: Mapping[FieldType, Any] = {
    # Barcodes and phone numbers also come as integers.
    FieldType.STRING: lambda value: validation.check_text(str(value)),
    FieldType.INTEGER: int,
    FieldType.NUMBER: amount_text,
    FieldType.LIST: lambda value: validation.check_json(value) or None,
    FieldType.OBJECT: validation.check_json,
}


@dataclass(frozen=True, slots=True)
class PassthroughField:
    """One such field: its name on the wire and its type, a text, an integer, money, a list or an object."""

    name: str
    type: FieldType

    def resource_field(self, table: str) -> ResourceField:
        """The field of a resource whose table has that alias."""
        text = f"({table}.extra ->> '{self.name}')"
        sql = {
            FieldType.STRING: text,
            FieldType.INTEGER: f"{text}::bigint",
            FieldType.NUMBER: f"{text}::numeric",
            FieldType.LIST: f"coalesce({table}.extra -> '{self.name}', '[]')",
            FieldType.OBJECT: f"{table}.extra -> '{self.name}'",
        }[self.type]
        return ResourceField(self.name, self.type, sql)


def read_fields(reading: validation.FieldReader, extras: tuple[PassthroughField, ...], thing: msgspec.Struct) -> None:
    """Reads the extras of what came in."""
    for extra in extras:
        reading.read(extra.name, getattr(thing, extra.name), _CHECKS[extra.type])


def split(extras: tuple[PassthroughField, ...], columns: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was read, parted into the columns proper and the extras."""
    names = {extra.name for extra in extras}
    return (
        {name: value for name, value in columns.items() if name not in names},
        {name: value for name, value in columns.items() if name in names},
    )


def merge(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The extras that stand with what was given of them; those that are empty are not kept."""
    return {name: value for name, value in {**before, **changes}.items() if value is not None}
