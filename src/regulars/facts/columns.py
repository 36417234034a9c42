"""Columns of a file: which there must be, and how the text of a cell is a value of JSON."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import msgspec

from regulars.core.errors import ValidationError

MAX_SHOWN_COLUMNS = 50
MAX_SHOWN_LENGTH = 100
"""Most columns, and most characters of a name, that an error shows."""


class CellEncoding(Enum):
    """What the text of a cell stands for."""

    TEXT = "text"
    """Itself, a number or a truth too."""
    TEXT_OR_JSON = "either"
    """Itself, unless it is a JSON object or list."""
    LIST = "list"
    """A JSON list, or its texts with commas, semicolons or bars between them."""
    JSON = "json"
    """A JSON object or list; what is neither is a text."""


_SCALARS = (
    msgspec.inspect.StrType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.DecimalType,
    msgspec.inspect.BoolType,
)
_LISTS = (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)


def _cell(kind: msgspec.inspect.Type) -> CellEncoding:
    ways: Sequence[Any] = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    bare = [way.type if isinstance(way, msgspec.inspect.Metadata) else way for way in ways]
    ways = [way for way in bare if not isinstance(way, msgspec.inspect.NoneType)]
    if all(isinstance(way, _SCALARS) for way in ways):
        return CellEncoding.TEXT
    if any(isinstance(way, _SCALARS) for way in ways):
        return CellEncoding.TEXT_OR_JSON
    return CellEncoding.LIST if any(isinstance(way, _LISTS) for way in ways) else CellEncoding.JSON


@dataclass(frozen=True)
class Columns:
    """The columns of an entity: the struct that its rows fit, and which columns a table of it must have.

    `required` holds alternatives: one of each must be there. `special` are cells that are not what their
    field's type says.
    """

    row_type: type[msgspec.Struct]
    required: tuple[tuple[str, ...], ...]
    overrides: Mapping[str, CellEncoding]

    @cached_property
    def encodings(self) -> Mapping[str, CellEncoding]:
        """What a cell stands for, by column."""
        fields = msgspec.structs.fields(self.row_type)
        kinds = msgspec.inspect.type_info(self.row_type).fields  # type: ignore[attr-defined]
        found = {each.encode_name: _cell(kind.type) for each, kind in zip(fields, kinds, strict=True)}
        return {**found, **self.overrides}

    @cached_property
    def structured(self) -> Sequence[str]:
        """The columns whose cells may be more than texts."""
        return tuple(name for name, cell in self.encodings.items() if cell is not CellEncoding.TEXT)

    def require(self, there: Collection[str]) -> None:
        """Raises Refused by column for what a table lacks."""
        shown = ", ".join(name[:MAX_SHOWN_LENGTH] for name in list(there)[:MAX_SHOWN_COLUMNS]) or "none"
        more = f" and {len(there) - MAX_SHOWN_COLUMNS} more" if len(there) > MAX_SHOWN_COLUMNS else ""
        missing = {
            ways[0]: f"is a required column, which the file lacks (it has: {shown}{more})"
            for ways in self.required
            if not any(way in there for way in ways)
        }
        if missing:
            raise ValidationError(missing)


def parse_cell(cell: CellEncoding, text: str) -> str | list[str] | msgspec.Raw:
    """The value that a structured cell's text stands for. Raises ValueError for what is to be JSON and is none."""
    if text[0] in "[{":
        try:
            return msgspec.json.decode(text, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"is no JSON: {error}") from None
    if cell is CellEncoding.LIST:
        parts = text.replace(";", ",").replace("|", ",").split(",")
        return [part.strip() for part in parts if part.strip()]
    return text
