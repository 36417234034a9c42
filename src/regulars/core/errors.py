"""Errors that callers receive: validation errors by the path of the field, resources and extras that do not exist."""

import re
from collections.abc import Mapping

import msgspec


class QuotingText(str):
    """A message that quotes what it found. `unquoted` says the same without it, and may be stored."""

    __slots__ = ("unquoted",)
    unquoted: str

    def __new__(cls, text: str, unquoted: str) -> "QuotingText":
        """A message, and the one without the quotation."""
        message = super().__new__(cls, text)
        message.unquoted = unquoted
        return message

    def __str__(self) -> str:
        """The message itself, so that the text of an exception that was raised with it has `unquoted`, too."""
        return self


def unquoted(message: str) -> str:
    """A message as it may be stored: without the values that it quotes, which may be those of a person."""
    return message.unquoted if isinstance(message, QuotingText) else message


def encode_message(value: object) -> str:
    """Encodes a message that quotes values, for encoders of JSON. Raises NotImplementedError for other types."""
    if isinstance(value, QuotingText):
        return str.__str__(value)
    raise NotImplementedError(f"can't encode {type(value).__name__}")


class ValidationError(ValueError):
    """Invalid input. `errors` are messages by path, such as `items.0.quantity`; the empty path is the whole input."""

    status = 422

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{path}: {message}" for path, message in self.errors.items()))

    def with_prefix(self, prefix: str) -> "ValidationError":
        """Returns the error with `prefix` before each path."""
        return ValidationError({f"{prefix}.{path}" if path else prefix: text for path, text in self.errors.items()})


class ResponseErasedError(ValidationError):
    """A request that was processed before, and whose response has been erased with a profile that it concerned."""

    status = 410

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__({"": message})


class NotFoundError(LookupError):
    """A resource does not exist in this community. `extra` is added to the response (`merged_into`)."""

    status = 404

    def __init__(self, message: str, extra: Mapping[str, object] | None = None) -> None:
        self.extra = dict(extra or {})
        super().__init__(message)


class MissingDependencyError(RuntimeError):
    """A missing optional dependency; the message names the extra to install."""


def field_error(path: str, message: str) -> ValidationError:
    """The error of one field."""
    return ValidationError({path: message})


_PATH = re.compile(r"^(?P<text>.*) - at `(?P<key>key in )?\$(?P<path>.*)`$", re.DOTALL)
_QUOTATION = re.compile(r"(invalid (?:enum )?value) .*", re.DOTALL)


def from_msgspec(error: msgspec.ValidationError) -> ValidationError:
    """Converts an error of msgspec. Its path `$.items[0].quantity` becomes `items.0.quantity`."""
    match = _PATH.match(str(error))
    text, path = (match["text"], match["path"]) if match else (str(error), "")
    path = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path).lstrip(".")
    if missing := re.match(r"Object missing required field `(.+)`", text):
        path = f"{path}.{missing[1]}" if path else missing[1]
        return ValidationError({path: "is required"})
    message = text[:1].lower() + text[1:]
    if quotation := _QUOTATION.fullmatch(message):
        message = QuotingText(message, quotation[1])
    return ValidationError({path: message})
