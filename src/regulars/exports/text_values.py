"""Encodes Arrow columns as text, a whole column at a time: the values of CSV, and the JSON of objects and lists."""

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from regulars.exports.columns import LOCAL_TIME, ExportColumn

Encode = Callable[[pa.Array], pa.Array]


def encode_distinct(values: pa.Array, encode: Encode) -> pa.Array:
    """Encodes a column; of a dictionary array, each distinct value once."""
    if isinstance(values, pa.DictionaryArray):
        return encode(values.dictionary).take(values.indices)
    return encode(values)


def decoded(values: pa.Array) -> pa.Array:
    """The values of an array without a dictionary."""
    return values.dictionary.take(values.indices) if isinstance(values, pa.DictionaryArray) else values


def to_text(column: ExportColumn, values: pa.Array) -> pa.Array:
    """Encodes values without a dictionary as text: times in ISO 8601, lists and objects as JSON; null stays null."""
    type_ = column.arrow_type
    if pa.types.is_string(type_):
        return values
    if pa.types.is_nested(type_):
        return json_arrays(values)
    if pa.types.is_timestamp(type_):
        return _times(column, values)
    return values.cast(pa.string())


def _times(column: ExportColumn, values: pa.Array) -> pa.Array:
    if column.format_time is not None:
        distinct = values.dictionary_encode()
        texts = [column.format_time(each) for each in distinct.dictionary.to_pylist()]
        return pa.array(texts, pa.string()).take(distinct.indices)
    # Arrow formats times without a zone faster: with six decimals, but a space before the time.
    return pc.binary_replace_slice(
        pc.binary_join_element_wise(values.cast(LOCAL_TIME).cast(pa.string()), "Z", ""), 10, 11, "T"
    )


# JSON ---------------------------------------------------------------------------------------------------------

_MUST_BE_ESCAPED = r'[\x00-\x1f"\\]'
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f]")


def json_strings(values: pa.Array) -> pa.Array:
    """Encodes strings as JSON strings."""
    if has_match(values, _MUST_BE_ESCAPED):
        values = pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"')
        values = substitute(values, pc.match_substring_regex(values, r"[\x00-\x1f]"), _escape_control_characters)
    return pc.binary_join_element_wise('"', values, '"', "")


def _escape_control_characters(text: str) -> str:
    return _CONTROL_CHARACTERS.sub(lambda match: _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), text)


def has_match(texts: pa.Array, pattern: str) -> bool:
    """Whether a pattern matches any of the texts."""
    found: bool | None = pc.any(pc.match_substring_regex(texts, pattern)).as_py()
    return bool(found)


def substitute(texts: pa.Array, selected: pa.Array, encode: Callable[[str], str]) -> pa.Array:
    """Encodes, one by one, the selected texts, which are few."""
    selected = selected.fill_null(False)
    if not pc.any(selected).as_py():
        return texts
    replacements = [encode(each) for each in texts.filter(selected).to_pylist()]
    return pc.replace_with_mask(texts, selected, pa.array(replacements, pa.string()))


def json_arrays(values: pa.Array) -> pa.Array:
    """Encodes lists as JSON arrays, and maps as JSON objects."""
    if pa.types.is_map(values.type):
        items = values.items.cast(pa.string()).fill_null("null")
        elements, brackets = pc.binary_join_element_wise(json_strings(values.keys), items, ":"), "{}"
    else:
        flat = values.values
        elements = json_strings(flat) if pa.types.is_string(flat.type) else flat.cast(pa.string())
        elements, brackets = elements.fill_null("null"), "[]"
    lists = pa.ListArray.from_arrays(values.offsets, elements)
    texts = pc.binary_join_element_wise(brackets[0], pc.binary_join(lists, ","), brackets[1], "")
    return pc.if_else(values.is_valid(), texts, None) if values.null_count else texts


def lines(parts: Sequence[pa.Array | str], null: str) -> memoryview:
    """Joins columns and constant texts to lines, and returns their bytes, one line after the other."""
    joined = pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement=null)
    offsets = memoryview(joined.buffers()[1]).cast("i")
    return memoryview(joined.buffers()[2])[offsets[joined.offset] : offsets[joined.offset + len(joined)]]
