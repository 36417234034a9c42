"""The cells of files: the text that a column of a type accepts, declared once for Python, DuckDB and Spark.

docs/files.md has the same as a table. A cell is read as a whole or rejected.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from decimal import Decimal

from regulars.core import timestamps
from regulars.core.field_type import FieldType
from regulars.core.time_forms import BLANKS, ISO_FORMS, TimeForm, is_plain_time, parse_time

NUMBER = "[+-]?([0-9]{1,18}([.][0-9]{0,16})?|[.][0-9]{1,16})([eE]([+]?0?[01]?[0-9]|-0?[0-9]))?"
"""ASCII digits, a point, and an exponent as floats print it; short enough that engines cast it exactly."""

INTEGER = "[+-]?[0-9]{1,18}([.]0{0,16})?"
"""Also with a point and zeros, as programs that know only floats print it."""

TRUE = ("true", "t", "yes", "y", "1")
FALSE = ("false", "f", "no", "n", "0")
"""In any case."""

DECIMAL_SIZES = {FieldType.MONEY: (18, 6), FieldType.RATE: (19, 12), FieldType.QUANTITY: (13, 6)}
"""Precision and scale of decimal types."""

MAX_SHOWN_LENGTH = 60
"""Most characters of a cell that a message quotes."""

_is_number = re.compile(NUMBER).fullmatch
_is_integer = re.compile(INTEGER).fullmatch


def input_format(field_type: FieldType, forms: Sequence[TimeForm] = ISO_FORMS) -> str:
    """What a cell of a type must be, for messages."""
    if field_type is FieldType.TIMESTAMP and forms is not ISO_FORMS:
        return "a time in the date format of the file"
    return field_type.input_format


def quote(cell: str) -> str:
    """A cell as a message shows it."""
    return repr(cell if len(cell) <= MAX_SHOWN_LENGTH else f"{cell[:MAX_SHOWN_LENGTH]}...")


def normalize(field_type: FieldType, text: str, forms: Sequence[TimeForm] = ISO_FORMS) -> str | bool | None:
    """The value of a cell: a boolean, a number or a time as canonical text, or None if it is blank.

    Raises ValueError with what it must be.
    """
    stripped = text.strip(BLANKS)
    if not stripped:
        return None
    try:
        return _normalize_time(stripped, forms) if field_type is FieldType.TIMESTAMP else _PARSERS[field_type](stripped)
    except ValueError:
        raise ValueError(f"must be {input_format(field_type, forms)}, not {quote(text)}") from None


def _normalize_time(text: str, forms: Sequence[TimeForm]) -> str:
    at = parse_time(text, forms)
    timestamps.check_range(at.replace(tzinfo=UTC) if at.tzinfo is None else at)
    # Text that Python and all engines read in the same way stays as it is.
    return text if forms is ISO_FORMS and is_plain_time(text) else at.isoformat()


def _decimal(field_type: FieldType) -> Callable[[str], str]:
    digits, scale = DECIMAL_SIZES[field_type]
    limit = Decimal(10) ** (digits - scale)
    is_plain = re.compile(f"-?[0-9]{{1,{digits - scale}}}([.][0-9]{{1,{scale}}})?").fullmatch

    def normalize_decimal(text: str) -> str:
        if is_plain(text):
            return text
        if not _is_number(text):
            raise ValueError
        value = Decimal(text)
        rounded = round(value, scale) if abs(value) < limit else value
        if value != rounded or abs(value) >= limit:
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

TYPES = (FieldType.TIMESTAMP, *_PARSERS)
"""The types whose cells are parsed here; all other cells are text, lists or objects."""
