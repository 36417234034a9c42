"""The lines of cells.txt: a type, the text of a cell, and the value that load, import and compute read."""

import ast
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from regulars.core.field_type import FieldType

Value = datetime | Decimal | int | bool | None

COLUMNS = {
    "time": ("transactions", "transacted_at", FieldType.TIMESTAMP),
    "money": ("transactions", "total", FieldType.MONEY),
    "integer": ("profiles", "birth_month", FieldType.INTEGER),
    "boolean": ("transactions", "is_void", FieldType.BOOLEAN),
}
"""Entity, column and type by the first word of a line."""


@dataclass(frozen=True)
class CellCase:
    """One cell; its value is None if it is rejected. A time without an offset has no time zone."""

    kind: str
    cell: str
    value: Value

    @property
    def message(self) -> str:
        """The message that rejects the cell."""
        return f"must be {COLUMNS[self.kind][2].input_format}, not {self.cell!r}"


def _value(kind: str, text: str) -> Value:
    if not text:
        return None
    if kind == "time":
        at = datetime.fromisoformat(text)
        return at if at.tzinfo is None else at.astimezone(UTC)
    return Decimal(text) if kind == "money" else bool(ast.literal_eval(text)) if kind == "boolean" else int(text)


def _read() -> list[CellCase]:
    lines = (Path(__file__).parent / "cells.txt").read_text().splitlines()
    parts = [[part.strip(" ") for part in line.split(" |")] for line in lines if line and not line.startswith("#")]
    return [CellCase(kind, ast.literal_eval(cell), _value(kind, value)) for kind, cell, value in parts]


CASES = _read()


def cases_of(kind: str) -> list[CellCase]:
    """The cases of one type, in order."""
    return [each for each in CASES if each.kind == kind]


def csv_of(kind: str, cells: Sequence[str]) -> bytes:
    """A file with one row a cell: the external ids are the indexes, other columns are valid."""
    valid = {"transacted_at": "2026-10-01", "total": "5", "is_void": "", "profile": "", "birth_month": ""}
    entity, column, _ = COLUMNS[kind]
    names = [
        "external_id",
        *(["birth_month"] if entity == "profiles" else ["profile", "transacted_at", "total", "is_void"]),
    ]
    content = io.StringIO()
    writer = csv.writer(content)
    writer.writerow(names)
    for index, cell in enumerate(cells):
        writer.writerow([str({**valid, "external_id": index, column: cell}[name]) for name in names])
    return content.getvalue().encode()
