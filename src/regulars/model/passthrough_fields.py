"""Passthrough fields: stored together in a column `extra` and returned unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from regulars.core import money, validation
from regulars.core.field_type import FieldType
from regulars.model.resource import ResourceField


def amount_text(value: Decimal) -> str:
    """Validates an amount and returns it as a text, which JSON stores exactly. Raises ValueError."""
    return f"{money.check_decimal(value):f}"


_CHECKS: Mapping[FieldType, Any] = {
    # Some clients send barcodes and phone numbers as integers.
    FieldType.STRING: lambda value: validation.check_text(str(value)),
    FieldType.INTEGER: int,
    FieldType.NUMBER: amount_text,
    FieldType.LIST: lambda value: validation.check_json(value) or None,
    FieldType.OBJECT: validation.check_json,
}


@dataclass(frozen=True, slots=True)
class PassthroughField:
    """A passthrough field: its name and type, which is STRING, INTEGER, NUMBER (an amount), LIST or OBJECT."""

    name: str
    type: FieldType

    def resource_field(self, table: str) -> ResourceField:
        """The field of a resource, read from the table with this alias."""
        text = f"({table}.extra ->> '{self.name}')"
        sql = {
            FieldType.STRING: text,
            FieldType.INTEGER: f"{text}::bigint",
            FieldType.NUMBER: f"{text}::numeric",
            FieldType.LIST: f"coalesce({table}.extra -> '{self.name}', '[]')",
            FieldType.OBJECT: f"{table}.extra -> '{self.name}'",
        }[self.type]
        return ResourceField(self.name, self.type, sql)


def read_fields(reader: validation.FieldReader, fields: tuple[PassthroughField, ...], request: msgspec.Struct) -> None:
    """Reads the passthrough fields of a request."""
    for field in fields:
        reader.read(field.name, getattr(request, field.name), _CHECKS[field.type])


def split(fields: tuple[PassthroughField, ...], columns: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits the columns read into table columns and passthrough fields."""
    names = {field.name for field in fields}
    return (
        {name: value for name, value in columns.items() if name not in names},
        {name: value for name, value in columns.items() if name in names},
    )


def merge(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The stored passthrough fields with the changes applied; null values are dropped."""
    return {name: value for name, value in {**before, **changes}.items() if value is not None}
