"""What a file holds, row by row: those that can be read, and those that can't with the reason."""

from collections.abc import Callable, Iterator

import msgspec


class RawRow(msgspec.Struct, frozen=True):
    """One row: the number of its first line from 1, and its content (raw, or the JSON object made of it)."""

    number: int
    content: bytes


class RejectedRow(msgspec.Struct, frozen=True):
    """One row that is not taken: where it is, and what is wrong by field (under "" of the row as a whole).

    `external_id` is that of the thing the row would have been a part of, where it can still be told.
    """

    line: int
    errors: dict[str, str]
    external_id: str | None = None

    @property
    def reason(self) -> str:
        """What is wrong, in one text."""
        return "; ".join(f"{field} {text}" if field else text for field, text in self.errors.items())


FileRow = RawRow | RejectedRow

ReadRows = Callable[[], Iterator[FileRow]]
"""Reads all rows from the beginning; may be called again."""


class _Identified(msgspec.Struct, frozen=True):
    external_id: str | int | None = None


_identified = msgspec.json.Decoder(_Identified, strict=False)


def external_id_of(content: bytes) -> str | None:
    """The external id in a JSON object; None where there is none, or no way to tell."""
    try:
        found = _identified.decode(content).external_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if found is None or found == "" else str(found)
