"""Writes NDJSON: a JSON object for each row, as in the API."""

import json
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from regulars.exports.columns import Columns, ExportColumn
from regulars.exports.compression import OutputFile
from regulars.exports.text_values import encode_distinct, json_strings, lines, to_text


class NdjsonWriter:
    """Writes NDJSON. Every object has every column; numbers are exact."""

    def __init__(self, file: OutputFile, columns: Columns) -> None:
        self._file = file
        self._columns = columns
        self._keys = [f"{json.dumps(each.name, ensure_ascii=False)}:" for each in columns]

    def write(self, batch: pa.RecordBatch) -> None:
        parts: list[pa.Array | str] = ["{"]
        for key, column, values in zip(self._keys, self._columns, batch.columns, strict=True):
            parts += [key, encode_distinct(values, partial(_json_values, column)), ","]
        parts[-1] = "}\n"
        self._file.write(lines(_joined_texts(parts), null="null"))

    def finish(self) -> None:
        """There is nothing after the last row."""

    def close(self) -> None:
        """There is nothing to release."""


def _joined_texts(parts: list[pa.Array | str]) -> list[pa.Array | str]:
    """Joins adjacent constant texts."""
    found: list[pa.Array | str] = []
    for each in parts:
        if isinstance(each, str) and found and isinstance(found[-1], str):
            found[-1] += each
        else:
            found.append(each)
    return found


def _json_values(column: ExportColumn, values: pa.Array) -> pa.Array:
    texts = to_text(column, values)
    type_ = column.arrow_type
    if column.is_json or pa.types.is_nested(type_) or pa.types.is_boolean(type_):
        return texts
    if pa.types.is_string(type_):
        return json_strings(texts)
    if pa.types.is_temporal(type_):
        return pc.binary_join_element_wise('"', texts, '"', "")
    return texts
