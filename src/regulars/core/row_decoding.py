"""Decodes the rows of files, with errors in the terms of people who write files."""

import re
from typing import Any, TypeVar

import msgspec

from regulars.core import cells
from regulars.core.errors import QuotingText, ValidationError, from_msgspec

T = TypeVar("T")

_EXPECTED = re.compile(
    r"expected `(?P<types>[^`]+)`(?: of length (?P<relation><=|>=|==) (?P<length>\d+)| (?P<bound>[<>]=? \S+))?(?:, got `[^`]+`)?"
)
_NAMES = {
    "str": "a text", "int": "an integer", "float": "a number", "decimal": "a number", "bool": "true or false",
    "array": "a list", "object": "an object", "uuid": "a UUID",
}  # fmt: skip
_LENGTHS = {"<=": "of at most", ">=": "of at least", "==": "of"}


def decode_row(content: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decodes a row that is a JSON object. Raises ValidationError by path; messages quote the value."""
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        errors = from_msgspec(error).errors
        raise ValidationError({path: _in_user_terms(text, path, content) for path, text in errors.items()}) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValidationError({"": QuotingText(f"is not JSON: {error}", "is not JSON")}) from None


def _in_user_terms(text: str, path: str, content: bytes) -> str:
    match = _EXPECTED.fullmatch(text)
    if match is None:
        return text
    types = " or ".join(_NAMES.get(each, each) for each in match["types"].split(" | ") if each != "null")
    if match["length"]:
        unit = "characters" if match["types"].startswith("str") else "elements"
        return f"must be {types} {_LENGTHS[match['relation']]} {match['length']} {unit}"
    bound = f" {match['bound']}" if match["bound"] else ""
    expected = f"must be {types}{bound}"
    return QuotingText(expected + _found(path, content), expected)


def _found(path: str, content: bytes) -> str:
    """The value at a path as a message shows it; nothing if it can't be reached."""
    try:
        value: Any = msgspec.json.decode(content)
        for part in path.split(".") if path else ():
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (msgspec.DecodeError, RecursionError, LookupError, ValueError, TypeError):
        return ""
    return f", not {cells.quote(value) if isinstance(value, str) else _short(value)}"


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= cells.MAX_SHOWN_LENGTH else f"{text[: cells.MAX_SHOWN_LENGTH]}..."
