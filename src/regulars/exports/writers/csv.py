"""Writes CSV: UTF-8, RFC 4180, with a header."""

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from regulars.core.formulas import FORMULA_PREFIX
from regulars.exports.columns import Columns, ExportColumn
from regulars.exports.compression import OutputFile
from regulars.exports.text_values import encode_distinct, has_match, lines, to_text

LINE_END = "\r\n"

# The empty string is quoted, so that it differs from null.
_MUST_BE_QUOTED = r'[",\r\n]|^$'


class CsvWriter:
    """Writes CSV. Null is empty; lists and objects are JSON.

    A string that a spreadsheet would take for a formula gets a leading apostrophe.
    """

    def __init__(self, file: OutputFile, columns: Columns) -> None:
        self._file = file
        self._columns = columns
        self._has_header = False
        # An empty line would not be a row of one column.
        self._null = "" if len(columns) > 1 else '""'

    def write(self, batch: pa.RecordBatch) -> None:
        self._write_header()
        *columns, last = zip(self._columns, batch.columns, strict=True)
        parts = [encode_distinct(values, partial(_ended_cells, column, ",")) for column, values in columns]
        # Null is replaced by what ends its cell, which is another text in the last column.
        ended = encode_distinct(last[1], partial(_ended_cells, last[0], LINE_END))
        parts.append(ended.fill_null(self._null + LINE_END))
        self._file.write(lines(parts, ","))

    def finish(self) -> None:
        self._write_header()

    def close(self) -> None:
        """There is nothing to release."""

    def _write_header(self) -> None:
        if not self._has_header:
            self._has_header = True
            self._file.write((",".join(each.name for each in self._columns) + LINE_END).encode())


def _ended_cells(column: ExportColumn, end: str, values: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(_cells(column, values), end, "")


def _cells(column: ExportColumn, values: pa.Array) -> pa.Array:
    texts = to_text(column, values)
    if pa.types.is_string(column.arrow_type) and not column.is_json:
        texts = _neutralize(texts)
    elif not pa.types.is_nested(column.arrow_type) and not column.is_json:
        return texts
    return _quote(texts)


def _neutralize(texts: pa.Array) -> pa.Array:
    """Adds an apostrophe before strings that a spreadsheet would take for a formula."""
    if not has_match(texts, FORMULA_PREFIX):
        return texts
    is_formula = pc.match_substring_regex(texts, FORMULA_PREFIX)
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", texts, ""), texts)


def _quote(texts: pa.Array) -> pa.Array:
    if not has_match(texts, _MUST_BE_QUOTED):
        return texts
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, _MUST_BE_QUOTED), quoted, texts)
