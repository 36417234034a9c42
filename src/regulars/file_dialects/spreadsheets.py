"""The rows of a sheet of a spreadsheet (.xlsx), each cell as text that is read like a cell of CSV."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import BinaryIO

from python_calamine import CalamineError, CalamineWorkbook

MAX_DECOMPRESSED_BYTES = 2 * 1024 * 1024 * 1024
"""Largest spreadsheet: it is read into memory as a whole."""

_HALF_MILLISECOND = timedelta(microseconds=500)
_EXACT_INTEGERS = 2**53


class UnreadableSheetError(ValueError):
    """A spreadsheet can't be read; the message says why and what to do."""


class Sheet:
    """One sheet: its name, and its rows with their numbers."""

    def __init__(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        self.name = name
        self._rows = rows

    def rows(self, mark: str = ".") -> Iterator[tuple[int, list[str]]]:
        """The rows that are not empty, numbered from 1 as in the sheet; numbers have this decimal mark, as its texts have."""
        for number, row in enumerate(self._rows, 1):
            cells = [_text(each, mark) for each in row]
            if any(cells):
                yield number, cells

    def texts(self) -> Iterator[list[str]]:
        """The rows of `rows` without numbers, which do not show how people write them."""
        for row in self._rows:
            if any(each not in ("", None) for each in row):
                yield [each if isinstance(each, str) else "" for each in row]


def read_sheet(file: BinaryIO, name: str | None) -> Sheet:
    """Reads a sheet by name, by default the first one. Raises UnreadableSheetError."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(each.file_size for each in archive.infolist())
    except zipfile.BadZipFile:
        raise UnreadableSheetError(
            "is no .xlsx spreadsheet, or it has a password: save it as .xlsx without a password, or as CSV"
        ) from None
    if size > MAX_DECOMPRESSED_BYTES:
        raise UnreadableSheetError(
            f"has {size:,} bytes when decompressed, at most {MAX_DECOMPRESSED_BYTES:,}: save it as CSV"
        )
    file.seek(0)
    try:
        workbook = CalamineWorkbook.from_filelike(file)
        names = workbook.sheet_names
        chosen = next(iter(names), "") if name is None else name
        if chosen not in names:
            raise UnreadableSheetError(f"has no sheet {chosen!r}. Found: {', '.join(names) or 'none'}")
        return Sheet(chosen, workbook.get_sheet_by_name(chosen).to_python(skip_empty_area=False))
    except CalamineError as error:
        raise UnreadableSheetError(f"is damaged ({error})") from None


def _text(value: object, mark: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # A sheet has no integers: ids and phone numbers are floats.
        is_exact = value.is_integer() and abs(value) < _EXACT_INTEGERS
        return str(int(value)) if is_exact else repr(value).replace(".", mark)
    if isinstance(value, datetime):
        # Times are fractions of a day, which are inexact.
        return (value + _HALF_MILLISECOND).isoformat(" ", "milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)
