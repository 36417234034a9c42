"""What came in for a fact, field by field: read, held to its limits, and refused by path."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.facts.refusals import Refused

LONGEST = 255
LARGEST_ID = 2**63 - 1
DEEPEST = 20
LARGEST_JSON = 64 * 1024

Text = Annotated[str, msgspec.Meta(max_length=LONGEST)] | UnsetType | None
LongText = Annotated[str, msgspec.Meta(max_length=65_535)] | UnsetType | None
Code = Annotated[str, msgspec.Meta(max_length=LONGEST)] | int | UnsetType | None
"""An id of another system: a text, though some send a number."""
Id = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_ID)] | UnsetType | None
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)] | UnsetType | None
Whole = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | UnsetType | None
Flag = bool | UnsetType | None
Several = list[Any] | UnsetType | None
Collection = list[Any] | dict[str, Any] | UnsetType | None


def text(value: str) -> str:
    """A text without NUL, which no database keeps. Raises ValueError."""
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def code(value: str | int) -> str | None:
    """An id of another system as a text; an empty one is none. Raises ValueError."""
    found = text(str(value))
    if len(found) > LONGEST:
        raise ValueError(f"must be at most {LONGEST} characters")
    return found or None


def one_of(text: str, codes: Mapping[str, int]) -> int:
    """What a name is kept as. Raises ValueError for one that is none of these."""
    if text not in codes:
        raise ValueError(f"must be one of {', '.join(codes)}")
    return codes[text]


def digest(text: str) -> UUID:
    """What an id of another system is kept as: 16 bytes, however long it is."""
    return UUID(bytes=blake2b(text.encode(), digest_size=16).digest())


def json(value: object) -> object:
    """JSON of the caller's own making, kept as it is. Raises ValueError beyond its limits."""
    encoded = msgspec.json.encode(value)
    if len(encoded) > LARGEST_JSON:
        raise ValueError(f"must be at most {LARGEST_JSON} bytes of JSON")
    _require_flat(value)
    # An escaped backslash before u0000 looks the same, but is rare.
    if b"\\u0000" in encoded:
        _require_no_nul(value)
    return value


def _require_flat(value: object) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"must be nested at most {DEEPEST} deep")


def _require_no_nul(value: object) -> None:
    if isinstance(value, str):
        text(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            text(key)
            _require_no_nul(each)
    elif isinstance(value, list):
        for each in value:
            _require_no_nul(each)


class Reading:
    """Reads the fields of one fact and collects what is wrong with them, by path.

    `columns` holds what was given and stands, null included; a field that was absent is not in it.
    """

    def __init__(self) -> None:
        self.columns: dict[str, Any] = {}
        self.errors: dict[str, str] = {}

    def read(self, path: str, given: Any, check: Callable[[Any], object], empty: object = None) -> None:
        """Keeps a field as its check gives it, unless it is absent; `empty` stands for null."""
        if given is UNSET:
            return
        try:
            self.columns[path] = empty if given is None else check(given)
        except ValueError as error:
            self.errors[path] = str(error)

    def require(self, *paths: str) -> None:
        """Holds that fields were given, each with a value."""
        for path in paths:
            if self.columns.get(path) is None:
                self.errors.setdefault(path, "is required")

    def done(self) -> dict[str, Any]:
        """The columns that were given. Raises Refused for all that was wrong."""
        if self.errors:
            raise Refused(self.errors)
        return self.columns
