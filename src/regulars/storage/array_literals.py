"""PostgreSQL array literals, which are several times faster to encode than arrays bound by the driver."""

import re
from collections.abc import Sequence

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="string")


def array_literal(values: Sequence[object]) -> str:
    """Returns texts, numbers, booleans, times, UUIDs or None as an array literal, to be bound as text and cast.

    Values that are all None give an empty array, which `unnest` pads with nulls next to longer arrays.
    """
    # A JSON array is an array literal except for its brackets and its escapes.
    text = _encoder.encode(values).decode()
    if "\\" in text:
        text = f"[{','.join('null' if each is None else _quote(str(each)) for each in values)}]"
    return "{}" if values.count(None) == len(values) else f"{{{text[1:-1]}}}"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', re.DOTALL)


def parse_array_literal(text: str) -> list[str | None]:
    """The elements of an array literal of one dimension, as texts."""
    return [
        re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL)
        if match[1] is not None
        else None
        if match[2] == "NULL"
        else match[2]
        for match in _ELEMENT.finditer(text)
    ]
