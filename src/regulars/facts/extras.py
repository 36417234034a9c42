"""Fields that are only kept and echoed: declared once, stored together in a column `extra`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from regulars.facts import given, money
from regulars.facts.resource import Field, Kind


def amount(value: Decimal) -> str:
    """A sum of money as JSON keeps it exactly: a text. Raises ValueError."""
    return f"{money.exact(value):f}"


_CHECKS: Mapping[Kind, Any] = {
    # Barcodes and phone numbers also come as integers.
    Kind.STRING: lambda value: given.text(str(value)),
    Kind.INTEGER: int,
    Kind.DECIMAL: amount,
    Kind.LIST: lambda value: given.json(value) or None,
    Kind.OBJECT: given.json,
}


@dataclass(frozen=True, slots=True)
class Extra:
    """One such field: its name on the wire and its type, a text, an integer, money, a list or an object."""

    name: str
    kind: Kind

    def field(self, table: str) -> Field:
        """The field of a resource whose table has that alias."""
        text = f"({table}.extra ->> '{self.name}')"
        sql = {
            Kind.STRING: text,
            Kind.INTEGER: f"{text}::bigint",
            Kind.DECIMAL: f"{text}::numeric",
            Kind.LIST: f"coalesce({table}.extra -> '{self.name}', '[]')",
            Kind.OBJECT: f"{table}.extra -> '{self.name}'",
        }[self.kind]
        return Field(self.name, self.kind, sql)


def read(reading: given.Reading, extras: tuple[Extra, ...], thing: msgspec.Struct) -> None:
    """Reads the extras of what came in."""
    for extra in extras:
        reading.read(extra.name, getattr(thing, extra.name), _CHECKS[extra.kind])


def apart(extras: tuple[Extra, ...], columns: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was read, parted into the columns proper and the extras."""
    names = {extra.name for extra in extras}
    return (
        {name: value for name, value in columns.items() if name not in names},
        {name: value for name, value in columns.items() if name in names},
    )


def merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The extras that stand with what was given of them; those that are empty are not kept."""
    return {name: value for name, value in {**before, **changes}.items() if value is not None}
