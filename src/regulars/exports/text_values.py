"""Encodes Arrow columns as text, a whole column at a time: the values of CSV, and the JSON of objects and lists."""

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from regulars.exports.columns import ExportColumn

_NO_ZONE = pa.timestamp("us")


def to_text(column: ExportColumn, values: pa.Array) -> pa.Array:
    """Encodes the values of a column as text: times in ISO 8601, lists and objects as JSON; null stays null."""
    type_ = column.arrow_type
    if pa.types.is_string(type_):
        return values
    if pa.types.is_list(type_) or pa.types.is_map(type_):
        return json_arrays(values)
    if pa.types.is_timestamp(type_):
        return _times(column, values)
    return values.cast(pa.string())


def map_distinct(values: pa.Array, encode: Callable[[object], str | None]) -> pa.Array:
    """Encodes each distinct value once."""
    encoded = values.dictionary_encode()
    found = [None if each is None else encode(each) for each in encoded.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(encoded.indices)


def _times(column: ExportColumn, values: pa.Array) -> pa.Array:
    if column.format_time is not None:
        return map_distinct(values, column.format_time)  # type: ignore[arg-type]
    # Arrow writes six decimals and Z, but a space before the time.
    return pc.binary_replace_slice(values.cast(pa.string()), 10, 11, "T")


# JSON ---------------------------------------------------------------------------------------------------------

_MUST_BE_ESCAPED = r'[\x00-\x1f"\\]'
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f]")


def json_strings(values: pa.Array) -> pa.Array:
    """Encodes strings as JSON strings."""
    if pc.any(pc.match_substring_regex(values, _MUST_BE_ESCAPED)).as_py():
        values = pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"')
        if pc.any(pc.match_substring_regex(values, r"[\x00-\x1f]")).as_py():
            values = map_distinct(values, _escape_control_characters)
    return pc.binary_join_element_wise('"', values, '"', "")


def _escape_control_characters(text: object) -> str:
    return _CONTROL_CHARACTERS.sub(lambda match: _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), str(text))


def json_arrays(values: pa.Array) -> pa.Array:
    """Encodes lists as JSON arrays, and maps as JSON objects."""
    if pa.types.is_map(values.type):
        keys, items = json_strings(values.keys), values.items.cast(pa.string())
        elements, brackets = pc.binary_join_element_wise(keys, items, ":", null_handling="replace"), "{}"
    else:
        flat = values.values
        elements = json_strings(flat) if pa.types.is_string(flat.type) else flat.cast(pa.string())
        brackets = "[]"
    elements = elements.fill_null("null")
    lists = pa.ListArray.from_arrays(values.offsets, elements, mask=values.is_null() if values.null_count else None)
    return pc.binary_join_element_wise(brackets[0], pc.binary_join(lists, ","), brackets[1], "")


def lines(parts: list[pa.Array | str], null: str) -> memoryview:
    """Joins columns and constant texts to lines; gives their bytes, one line after the other."""
    joined = pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement=null)
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.combine_chunks()
    if not len(joined):
        return memoryview(b"")
    offsets = memoryview(joined.buffers()[1]).cast("i")
    begin, end = offsets[joined.offset], offsets[joined.offset + len(joined)]
    return memoryview(joined.buffers()[2])[begin:end]
