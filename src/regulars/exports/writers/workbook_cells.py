"""Encodes Arrow columns as cells of a sheet, a whole column at a time."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from regulars.core.formulas import FORMULA_PREFIX
from regulars.exports.columns import ExportColumn
from regulars.exports.text_values import has_match, substitute, to_text
from regulars.exports.writers.workbook_parts import DATE_STYLE, QUOTED_STYLE, TIME_STYLE

MAX_CELL_LENGTH = 32_767
"""Characters of a cell, counted in UTF-16; a longer text is cut, and ends with an ellipsis."""

EMPTY_CELL = "<c/>"

_ELLIPSIS = "…"
_MAX_DIGITS = 15
"""Decimal digits of a number in a spreadsheet; a number with more is a text."""

_FIRST_DAY = -25_508
"""1 March 1900 as days since 1970: the first day that all spreadsheets number equally. An earlier time is a text."""

_DAYS_TO_1970 = 25_569
_MICROSECONDS_A_DAY = 86_400_000_000


def cells(column: ExportColumn, values: pa.Array) -> pa.Array:
    """Encodes values without a dictionary as cells; null stays null."""
    type_ = column.arrow_type
    if pa.types.is_boolean(type_):
        return pc.if_else(values, '<c t="b"><v>1</v></c>', '<c t="b"><v>0</v></c>')
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        return _numbers(values)
    if pa.types.is_timestamp(type_):
        return _times(column, values)
    if pa.types.is_date(type_):
        return _dates(column, values)
    is_text = pa.types.is_string(type_) and not column.is_json
    return text_cells(to_text(column, values), has_formulas=is_text)


def text_cells(texts: pa.Array, *, has_formulas: bool) -> pa.Array:
    """Cells of strings, which are never formulas.

    With `has_formulas`, a string that looks like one is marked as text (quotePrefix), so that it does not become a formula
    when the cell is edited.
    """
    # A character outside of the first plane of Unicode counts twice.
    texts = substitute(texts, pc.greater(pc.utf8_length(texts), MAX_CELL_LENGTH // 2), _cut)
    found = pc.binary_join_element_wise(f'<c t="inlineStr"><is><t{_space(texts)}>', _escape(texts), "</t></is></c>", "")
    if has_formulas and has_match(texts, FORMULA_PREFIX):
        quoted = pc.replace_substring(found, "<c ", f'<c s="{QUOTED_STYLE}" ', max_replacements=1)
        found = pc.if_else(pc.match_substring_regex(texts, FORMULA_PREFIX), quoted, found)
    return found


def _cut(text: str) -> str:
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * MAX_CELL_LENGTH:
        return text
    return encoded[: 2 * (MAX_CELL_LENGTH - 1)].decode("utf-16-le", "ignore") + _ELLIPSIS


def _space(texts: pa.Array) -> str:
    # Otherwise spaces at the ends are dropped.
    return ' xml:space="preserve"' if has_match(texts, r"^\s|\s$|[\n\t]") else ""


# XML can't contain these; the format writes them as _x0001_, and that text with its first character so written.
_FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{FFFE}\x{FFFF}]|_x[0-9A-Fa-f]{4}_"
_FORBIDDEN_PATTERN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def _escape(texts: pa.Array) -> pa.Array:
    """Escapes texts for XML."""
    texts = substitute(texts, pc.match_substring_regex(texts, _FORBIDDEN), _escape_forbidden)
    if has_match(texts, r"[&<>\r]"):
        for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
            texts = pc.replace_substring(texts, character, entity)
    return texts


def _escape_forbidden(text: str) -> str:
    return _FORBIDDEN_PATTERN.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def _numbers(values: pa.Array) -> pa.Array:
    texts = values.cast(pa.string())
    found = pc.binary_join_element_wise("<c><v>", texts, "</v></c>", "")
    longest = pc.max(pc.utf8_length(texts)).as_py()
    if longest is None or longest <= _MAX_DIGITS:
        return found
    digits = pc.replace_substring_regex(texts, r"^-?0*\.?0*|\.", "")
    return pc.if_else(pc.greater(pc.utf8_length(digits), _MAX_DIGITS), text_cells(texts, has_formulas=False), found)


def _times(column: ExportColumn, values: pa.Array) -> pa.Array:
    """Cells of times: days since 1900 in UTC, or in local time where the column has one."""
    local = values if column.zone is None else pc.local_timestamp(values.cast(pa.timestamp("us", column.zone)))
    micros = local.cast(pa.int64())
    days = pc.add(pc.divide(micros.cast(pa.float64(), safe=False), float(_MICROSECONDS_A_DAY)), float(_DAYS_TO_1970))
    return _numbered(column, values, days, pc.divide(micros, _MICROSECONDS_A_DAY), TIME_STYLE)


def _dates(column: ExportColumn, values: pa.Array) -> pa.Array:
    days = values.cast(pa.int32())
    return _numbered(column, values, pc.add(days, _DAYS_TO_1970), days, DATE_STYLE)


def _numbered(column: ExportColumn, values: pa.Array, serials: pa.Array, days: pa.Array, style: int) -> pa.Array:
    found = pc.binary_join_element_wise(f'<c s="{style}"><v>', serials.cast(pa.string()), "</v></c>", "")
    is_early = pc.less(days, _FIRST_DAY)
    if not pc.any(is_early).as_py():
        return found
    return pc.if_else(is_early, text_cells(to_text(column, values), has_formulas=False), found)
