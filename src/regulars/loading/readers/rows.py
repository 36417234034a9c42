"""Rows of a file: raw rows, and rejected rows with the reason."""

from collections.abc import Callable, Iterator

import msgspec

from regulars.core.errors import unquoted
from regulars.core.time_forms import BLANKS


class RawRow(msgspec.Struct, frozen=True):
    """One row: the number of its first line, from 1, and its content (a line of text, or a JSON object)."""

    number: int
    content: bytes


class RejectedRow(msgspec.Struct, frozen=True):
    """One rejected row: its first line, and messages by field (under "" for the row as a whole).

    `external_id` is that of the transaction that the row belongs to, if it can be read.
    """

    line: int
    errors: dict[str, str]
    external_id: str | None = None

    @property
    def reason(self) -> str:
        """All messages as one text."""
        return "; ".join(f"{field} {text}" if field else text for field, text in self.errors.items())

    def unquoted(self) -> "RejectedRow":
        """The rejected row as it may be stored: its messages without the values that they quote."""
        return RejectedRow(self.line, {field: unquoted(text) for field, text in self.errors.items()})


FileRow = RawRow | RejectedRow

ReadRows = Callable[[], Iterator[FileRow]]
"""Reads all rows from the beginning; may be called several times."""


class _Identified(msgspec.Struct, frozen=True):
    external_id: str | int | None = None


_decoder = msgspec.json.Decoder(_Identified, strict=False)


def external_id_of(content: bytes) -> str | None:
    """The external id in a JSON object; None if there is none, or the content can't be parsed."""
    try:
        external_id = _decoder.decode(content).external_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if external_id is None else trim_id(str(external_id))


def trim_id(external_id: str) -> str | None:
    """An external id as it is stored, without blanks around it; None if nothing else is in it."""
    return external_id.strip(BLANKS) or None
