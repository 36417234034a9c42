"""What came in for a fact, field by field: read, held to its limits, and refused by path."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core.errors import ValidationError

MAX_TEXT_LENGTH = 255
MAX_ID = 2**63 - 1
MAX_JSON_DEPTH = 20
MAX_JSON_BYTES = 64 * 1024

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)] | UnsetType | None
LongText = Annotated[str, msgspec.Meta(max_length=65_535)] | UnsetType | None
Code = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)] | int | UnsetType | None
"""An id of another system: a text, though some send a number."""
Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)] | UnsetType | None
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)] | UnsetType | None
Int = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | UnsetType | None
Bool = bool | UnsetType | None
JsonList = list[Any] | UnsetType | None
JsonCollection = list[Any] | dict[str, Any] | UnsetType | None


def check_text(value: str) -> str:
    """A text without NUL, which no database keeps. Raises ValueError."""
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def check_code(value: str | int) -> str | None:
    """An id of another system as a text; an empty one is none. Raises ValueError."""
    found = check_text(str(value))
    if len(found) > MAX_TEXT_LENGTH:
        raise ValueError(f"must be at most {MAX_TEXT_LENGTH} characters")
    return found or None


def code_of(text: str, codes: Mapping[str, int]) -> int:
    """What a name is kept as. Raises ValueError for one that is none of these."""
    if text not in codes:
        raise ValueError(f"must be one of {', '.join(codes)}")
    return codes[text]


def hash_key(text: str) -> UUID:
    """What an id of another system is kept as: 16 bytes, however long it is."""
    return UUID(bytes=blake2b(text.encode(), digest_size=16).digest())


def check_json(value: object) -> object:
    """JSON of the caller's own making, kept as it is. Raises ValueError beyond its limits."""
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_JSON_BYTES:
        raise ValueError(f"must be at most {MAX_JSON_BYTES} bytes of JSON")
    _require_flat(value)
    # An escaped backslash before u0000 looks the same, but is rare.
    if b"\\u0000" in encoded:
        _require_no_nul(value)
    return value


def _require_flat(value: object) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_JSON_DEPTH):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"must be nested at most {MAX_JSON_DEPTH} deep")


def _require_no_nul(value: object) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            check_text(key)
            _require_no_nul(each)
    elif isinstance(value, list):
        for each in value:
            _require_no_nul(each)


class FieldReader:
    """Reads the fields of one fact and collects what is wrong with them, by path.

    `columns` holds what was given and stands, null included; a field that was absent is not in it.
    """

    def __init__(self) -> None:
        self.columns: dict[str, Any] = {}
        self.errors: dict[str, str] = {}

    def read(self, path: str, value: Any, check: Callable[[Any], object], null_value: object = None) -> None:
        """Keeps a field as its check gives it, unless it is absent; `empty` stands for null."""
        if value is UNSET:
            return
        try:
            self.columns[path] = null_value if value is None else check(value)
        except ValueError as error:
            self.errors[path] = str(error)

    def require(self, *paths: str) -> None:
        """Holds that fields were given, each with a value."""
        for path in paths:
            if self.columns.get(path) is None:
                self.errors.setdefault(path, "is required")

    def result(self) -> dict[str, Any]:
        """The columns that were given. Raises Refused for all that was wrong."""
        if self.errors:
            raise ValidationError(self.errors)
        return self.columns
