"""The columns of a file: which are required, and how the text of a cell becomes a JSON value."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from regulars.core import cells
from regulars.core.cells import ISO_CELLS, CellFormat
from regulars.core.errors import QuotingText, ValidationError
from regulars.core.field_type import FieldType
from regulars.core.time_forms import BLANKS

T = TypeVar("T")

MAX_SHOWN_COLUMNS = 50
MAX_SHOWN_LENGTH = 100
"""Most columns, and most characters of a name, that an error shows."""


class CellEncoding(Enum):
    """How the text of a cell is decoded."""

    TEXT = "text"
    """As text, also for numbers and booleans."""
    TEXT_OR_JSON = "either"
    """As JSON if it is an object or a list, else as text."""
    LIST = "list"
    """As a JSON list, or as texts separated by commas, semicolons or bars."""
    JSON = "json"
    """As a JSON object or list, else as text."""


_SCALARS = (
    msgspec.inspect.StrType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.DecimalType,
    msgspec.inspect.BoolType,
)
_LISTS = (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)
_PARSED: Mapping[type, FieldType] = {
    msgspec.inspect.IntType: FieldType.INTEGER,
    msgspec.inspect.DecimalType: FieldType.MONEY,
    msgspec.inspect.BoolType: FieldType.BOOLEAN,
}


def _types_of(field_type: msgspec.inspect.Type) -> Sequence[Any]:
    """The types that a field may have, except null."""
    members: Sequence[Any] = field_type.types if isinstance(field_type, msgspec.inspect.UnionType) else (field_type,)
    unwrapped = [each.type if isinstance(each, msgspec.inspect.Metadata) else each for each in members]
    return [each for each in unwrapped if not isinstance(each, msgspec.inspect.NoneType)]


def _parsed_type(field_type: msgspec.inspect.Type) -> FieldType | None:
    """The type whose cells are parsed; None for texts, also for fields that may be a text or a number."""
    types = _types_of(field_type)
    return _PARSED.get(type(types[0])) if len(types) == 1 else None


def _encoding_of(field_type: msgspec.inspect.Type) -> CellEncoding:
    types = _types_of(field_type)
    if all(isinstance(each, _SCALARS) for each in types):
        return CellEncoding.TEXT
    if any(isinstance(each, _SCALARS) for each in types):
        return CellEncoding.TEXT_OR_JSON
    return CellEncoding.LIST if any(isinstance(each, _LISTS) for each in types) else CellEncoding.JSON


@dataclass(frozen=True)
class Columns:
    """The columns of an entity: the struct that its rows are decoded to, and the columns that a file must have.

    `required` holds alternatives: of each tuple one column is required. `overrides` are encodings that differ from
    those that follow from the fields' types; `times` are the columns of times, and `types` other types of
    cells that do not follow from the fields' types. `cell_format` is how the file writes its cells, `names` are its names of
    columns by ours, where they differ.
    """

    row_type: type[msgspec.Struct]
    required: tuple[tuple[str, ...], ...]
    overrides: Mapping[str, CellEncoding]
    times: tuple[str, ...] = ()
    types: Mapping[str, FieldType] = field(default_factory=dict)
    cell_format: CellFormat = ISO_CELLS
    names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def encodings(self) -> Mapping[str, CellEncoding]:
        """The encoding of cells by column."""
        fields = msgspec.structs.fields(self.row_type)
        types = msgspec.inspect.type_info(self.row_type).fields  # type: ignore[attr-defined]
        by_type = {each.encode_name: _encoding_of(info.type) for each, info in zip(fields, types, strict=True)}
        return {**by_type, **self.overrides}

    @cached_property
    def structured(self) -> Sequence[str]:
        """The columns whose cells are not always plain text."""
        return tuple(name for name, encoding in self.encodings.items() if encoding is not CellEncoding.TEXT)

    @cached_property
    def parsed(self) -> Mapping[str, FieldType]:
        """The types of the columns whose cells are parsed."""
        types = msgspec.inspect.type_info(self.row_type).fields  # type: ignore[attr-defined]
        by_type = {each.encode_name: parsed for each in types if (parsed := _parsed_type(each.type)) is not None}
        return {**by_type, **self.types, **dict.fromkeys(self.times, FieldType.TIMESTAMP)}

    def parse_cells(self, values: dict[str, Any], errors: dict[str, str]) -> None:
        """Replaces the text of cells by their values, and removes blank ones; adds to `errors` by column."""
        for name, field_type in self.parsed.items():
            text = values.get(name)
            if not isinstance(text, str):
                continue
            try:
                value = cells.normalize(field_type, text, self.cell_format)
            except ValueError as error:
                errors[name] = str(error)
                continue
            if value is None:
                del values[name]
            else:
                values[name] = value

    @property
    def types_in_file(self) -> Mapping[str, FieldType]:
        """The types of the columns whose cells are parsed, by name in the file."""
        return {self.names.get(name, name): field_type for name, field_type in self.parsed.items()}

    @property
    def names_in_file(self) -> frozenset[str]:
        """The names of all columns, as a file has them."""
        return frozenset(self.names.get(name, name) for name in self.encodings)

    def targets(self, header: Sequence[str]) -> list[tuple[int, str]]:
        """The columns of a file that are read, by index, with our names.

        Raises ValidationError for a renamed or required column that is missing.
        """
        indexes = {name: index for index, name in enumerate(header)}
        missing = {theirs for theirs in self.names.values() if theirs not in indexes}
        if missing:
            raise ValidationError(
                {ours: self._not_in_file(theirs, header) for ours, theirs in self.names.items() if theirs in missing}
            )
        found = {ours: self.names.get(ours, ours) for ours in self.encodings}
        targets = sorted((indexes[theirs], ours) for ours, theirs in found.items() if theirs in indexes)
        self.require([ours for _, ours in targets], header)
        return targets

    def rename(self, values: dict[str, T]) -> dict[str, T]:
        """The values of a row by our names; the same object if the file's names are ours."""
        if not self.names:
            return values
        return {ours: values[theirs] for ours in self.encodings if (theirs := self.names.get(ours, ours)) in values}

    def _not_in_file(self, name: str, header: Collection[str]) -> str:
        return QuotingText(
            f"is named {name[:MAX_SHOWN_LENGTH]}, which is no column of the file. Found: {_shown(header)}",
            "is no column of the file",
        )

    def require(self, columns: Collection[str], header: Collection[str] | None = None) -> None:
        """Raises ValidationError, by column, for required columns that are missing; it shows those of the `header`."""
        found = _shown(columns if header is None else header)
        missing = {
            alternatives[0]: QuotingText(f"is a required column. Found: {found}", "is a required column")
            for alternatives in self.required
            if not any(name in columns for name in alternatives)
        }
        if missing:
            raise ValidationError(missing)


def _shown(columns: Collection[str]) -> str:
    shown = ", ".join(name[:MAX_SHOWN_LENGTH] for name in list(columns)[:MAX_SHOWN_COLUMNS] if name) or "none"
    more = f" and {len(columns) - MAX_SHOWN_COLUMNS} more" if len(columns) > MAX_SHOWN_COLUMNS else ""
    return f"{shown}{more}"


def parse_cell(encoding: CellEncoding, text: str) -> str | list[str] | msgspec.Raw:
    """The value of a structured cell. Raises ValueError for text that begins like JSON and is not."""
    stripped = text.strip(BLANKS)
    if stripped.startswith(("[", "{")):
        try:
            return msgspec.json.decode(stripped, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(QuotingText(f"is not JSON: {error}", "is not JSON")) from None
    if encoding is CellEncoding.LIST:
        parts = text.replace(";", ",").replace("|", ",").split(",")
        return [part.strip() for part in parts if part.strip()]
    return text
