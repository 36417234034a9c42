"""Validation of input fields: types with their limits, and a reader that collects errors by path."""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core.errors import ValidationError
from regulars.core.time_forms import BLANKS

MAX_TEXT_LENGTH = 255
MAX_ID = 2**63 - 1
MAX_JSON_DEPTH = 20
MAX_JSON_BYTES = 64 * 1024

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)] | UnsetType | None
LongText = Annotated[str, msgspec.Meta(max_length=65_535)] | UnsetType | None
Code = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)] | int | UnsetType | None
"""An ID of another system: a text or a number."""
Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)] | UnsetType | None
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)] | UnsetType | None
Int = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | UnsetType | None
Bool = bool | UnsetType | None
JsonList = list[Any] | UnsetType | None
JsonCollection = list[Any] | dict[str, Any] | UnsetType | None


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def check_text(value: str) -> str:
    """Validates a text: PostgreSQL stores no NUL. Raises ValueError."""
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def check_code(value: str | int) -> str | None:
    """Validates an ID of another system and returns it as a text without blanks around it, None for an empty one.

    Raises ValueError.
    """
    text = check_text(str(value)).strip(BLANKS)
    if len(text) > MAX_TEXT_LENGTH:
        raise ValueError(f"must be at most {MAX_TEXT_LENGTH} characters")
    return text or None


def is_email(text: str) -> bool:
    """Whether a text has the form of an e-mail address."""
    return _EMAIL.fullmatch(text) is not None


def code_of(text: str, codes: Mapping[str, int]) -> int:
    """The code that a name is stored as. Raises ValueError for an unknown name."""
    if text not in codes:
        raise ValueError(f"must be one of {', '.join(codes)}")
    return codes[text]


def hash_key(text: str) -> UUID:
    """The hash that an ID of another system is stored as: 16 bytes for any length."""
    return UUID(bytes=blake2b(text.encode(), digest_size=16).digest())


def check_json(value: object) -> object:
    """Validates the size and depth of JSON that is stored as received. Raises ValueError."""
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_JSON_BYTES:
        raise ValueError(f"must be at most {MAX_JSON_BYTES} bytes of JSON")
    _check_depth(value)
    # An escaped backslash before u0000 looks the same, so the values are searched.
    if b"\\u0000" in encoded:
        _check_no_nul(value)
    return value


def _check_depth(value: object) -> None:
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


def _check_no_nul(value: object) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            check_text(key)
            _check_no_nul(each)
    elif isinstance(value, list):
        for each in value:
            _check_no_nul(each)


class FieldReader:
    """Reads the fields of one request object. `columns` holds the valid values, `errors` the messages, by path.

    Absent fields are in neither; null is a value.
    """

    def __init__(self) -> None:
        self.columns: dict[str, Any] = {}
        self.errors: dict[str, str] = {}

    def read(self, path: str, value: Any, check: Callable[[Any], object], null_value: object = None) -> None:
        """Stores the value that `check` returns, unless the field is absent; null becomes `null_value`."""
        if value is UNSET:
            return
        try:
            self.columns[path] = null_value if value is None else check(value)
        except ValueError as error:
            self.errors[path] = str(error)

    def require(self, *paths: str) -> None:
        """Adds an error for each field that is absent or null."""
        for path in paths:
            if self.columns.get(path) is None:
                self.errors.setdefault(path, "is required")

    def result(self) -> dict[str, Any]:
        """Returns the columns. Raises ValidationError if there are errors."""
        if self.errors:
            raise ValidationError(self.errors)
        return self.columns
