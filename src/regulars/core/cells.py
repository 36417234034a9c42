"""The cells of files: the text that a column of a type accepts, declared once for Python, DuckDB and Spark.

docs/files.md has the same as a table. A cell is read as a whole or rejected.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal

from regulars.core import number_forms, timestamps
from regulars.core.errors import QuotingText
from regulars.core.field_type import FieldType
from regulars.core.number_forms import INTEGER, NUMBER, PLAIN, NumberForm
from regulars.core.time_forms import BLANKS, ISO_FORMS, TimeForm, is_plain_time, parse_time

TRUE = ("true", "t", "yes", "y", "1")
FALSE = ("false", "f", "no", "n", "0")
"""In any case."""

DECIMAL_SIZES = {FieldType.MONEY: (18, 6), FieldType.RATE: (19, 12), FieldType.QUANTITY: (13, 6)}
"""Precision and scale of decimal types."""

ROUNDED_DECIMALS = 3
"""A float such as 153.00000000000003 is rounded if it differs by at most one unit of this many places after the scale."""

MAX_SHOWN_LENGTH = 60
"""Most characters of a cell that a message quotes."""

_is_number = re.compile(NUMBER).fullmatch
_is_integer = re.compile(INTEGER).fullmatch


@dataclass(frozen=True, slots=True)
class CellFormat:
    """How the cells of a file are written: the forms of its times, and the form of its numbers.

    `time_advice` is appended to the message about a time that has none of the forms.
    """

    time_forms: tuple[TimeForm, ...] = ISO_FORMS
    numbers: NumberForm = PLAIN
    time_advice: str = ""


ISO_CELLS = CellFormat()


def input_format(field_type: FieldType, cell_format: CellFormat = ISO_CELLS) -> str:
    """What a cell of a type must be, for messages."""
    if field_type is FieldType.TIMESTAMP and cell_format.time_forms is not ISO_FORMS:
        return "a time in the date format of the file"
    return field_type.input_format


def quote(cell: str) -> str:
    """A cell as a message shows it."""
    return repr(cell if len(cell) <= MAX_SHOWN_LENGTH else f"{cell[:MAX_SHOWN_LENGTH]}...")


def normalize(field_type: FieldType, text: str, cell_format: CellFormat = ISO_CELLS) -> str | bool | None:
    """The value of a cell: a boolean, a number or a time as canonical text, or None if it is blank.

    Raises ValueError with what it must be.
    """
    stripped = text.strip(BLANKS)
    if not stripped:
        return None
    try:
        if field_type is FieldType.TIMESTAMP:
            return _normalize_time(stripped, cell_format.time_forms)
        if field_type in NUMBERS:
            stripped = cell_format.numbers.to_plain(stripped)
        return _PARSERS[field_type](stripped)
    except ValueError:
        expected = f"must be {input_format(field_type, cell_format)}"
        found = f", not {quote(text)}{advice(field_type, stripped, cell_format)}"
        raise ValueError(QuotingText(expected + found, expected)) from None


def advice(field_type: FieldType, text: str, cell_format: CellFormat = ISO_CELLS) -> str:
    """Which option reads a cell that is rejected; empty if none does."""
    if field_type is FieldType.TIMESTAMP:
        return cell_format.time_advice
    if field_type not in NUMBERS:
        return ""
    if cell_format.numbers.is_plain and _is_number(text):
        return ""
    readings = [
        f"--decimal '{mark}' reads it as {plain}"
        for mark, plain in number_forms.other_readings(text).items()
        if number_forms.FORMS_BY_MARK[mark] is not cell_format.numbers
    ]
    return f"; {', '.join(readings)}" if readings else ""


def _normalize_time(text: str, forms: tuple[TimeForm, ...]) -> str:
    at = parse_time(text, forms)
    timestamps.check_range(at.replace(tzinfo=UTC) if at.tzinfo is None else at)
    # Text that Python and all engines read in the same way stays as it is.
    return text if forms is ISO_FORMS and is_plain_time(text) else at.isoformat()


def _decimal(field_type: FieldType) -> Callable[[str], str]:
    digits, scale = DECIMAL_SIZES[field_type]
    limit = Decimal(10) ** (digits - scale)
    tolerance = Decimal(10) ** -(scale + ROUNDED_DECIMALS)
    is_plain = re.compile(f"-?[0-9]{{1,{digits - scale}}}([.][0-9]{{1,{scale}}})?").fullmatch

    def normalize_decimal(text: str) -> str:
        if is_plain(text):
            return text
        if not _is_number(text):
            raise ValueError
        value = Decimal(text)
        rounded = round(value, scale) if abs(value) < limit else value
        if abs(value - rounded) > tolerance or abs(rounded) >= limit:
            raise ValueError
        return f"{rounded.normalize():f}"

    return normalize_decimal


def _normalize_integer(text: str) -> str:
    if not _is_integer(text):
        raise ValueError
    return str(int(text.partition(".")[0]))


def _parse_boolean(text: str) -> bool:
    lower = text.lower()
    if lower not in TRUE and lower not in FALSE:
        raise ValueError
    return lower in TRUE


_PARSERS: Mapping[FieldType, Callable[[str], str | bool]] = {
    **{field_type: _decimal(field_type) for field_type in DECIMAL_SIZES},
    FieldType.INTEGER: _normalize_integer,
    FieldType.BOOLEAN: _parse_boolean,
}

NUMBERS = frozenset({*DECIMAL_SIZES, FieldType.INTEGER})
"""The types whose cells are numbers."""

TYPES = (FieldType.TIMESTAMP, *_PARSERS)
"""The types whose cells are parsed here; all other cells are text, lists or objects."""
