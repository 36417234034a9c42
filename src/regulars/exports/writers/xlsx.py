"""Writes Office Open XML workbooks: sheets are streamed, so that no sheet is ever in memory."""

import zipfile
from functools import partial
from typing import IO, cast

import pyarrow as pa

from regulars.exports.columns import Columns
from regulars.exports.compression import OutputFile
from regulars.exports.text_values import encode_distinct, lines
from regulars.exports.writers.workbook_cells import EMPTY_CELL, cells
from regulars.exports.writers.workbook_parts import (
    HEADER_STYLE,
    SHEET_BEGIN,
    SHEET_END,
    sheet_name,
    workbook_parts,
)

MAX_SHEET_ROWS = 1_048_576
"""Rows of a sheet, with its header."""

MAX_SHEET_BYTES = 1_500_000_000
"""Bytes of a sheet before compression, after which another is started: archives limit their files to 2 GiB."""

_SLICE_ROWS = 20_000
"""Rows that are encoded together; text of cells is several times as large as the values."""

_COMPRESSION_LEVEL = 1


class XlsxWriter:
    """Writes a workbook with real numbers, times and dates, and a frozen header on each of its sheets."""

    def __init__(self, file: OutputFile, columns: Columns) -> None:
        self._columns = columns
        # An archive that was opened from a file never closes it.
        self._archive = zipfile.ZipFile(
            cast(IO[bytes], file), "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL
        )
        self._sheet: IO[bytes] | None = None
        self._sheets = 0
        self._rows = 0
        self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        start = 0
        while start < batch.num_rows:
            if self._sheet is None or self._rows >= MAX_SHEET_ROWS or self._bytes >= MAX_SHEET_BYTES:
                self._begin_sheet()
            length = min(_SLICE_ROWS, MAX_SHEET_ROWS - self._rows, batch.num_rows - start)
            self._write_rows(batch.slice(start, length))
            start += length

    def finish(self) -> None:
        if self._sheet is None:
            self._begin_sheet()
        self._end_sheet()
        for name, content in workbook_parts(self._sheets).items():
            self._archive.writestr(name, content)
        self._archive.close()

    def close(self) -> None:
        """Releases the archive without its directory, if it is not finished."""
        if self._sheet is not None:
            # An archive with an open file can't be closed.
            self._sheet = None
        self._archive.fp = None

    def _begin_sheet(self) -> None:
        self._end_sheet()
        self._sheets += 1
        self._rows = self._bytes = 0
        self._sheet = self._archive.open(sheet_name(self._sheets), "w")
        header = "".join(
            f'<c s="{HEADER_STYLE}" t="inlineStr"><is><t>{each.name}</t></is></c>' for each in self._columns
        )
        self._put(f"{SHEET_BEGIN}<row>{header}</row>".encode())
        self._rows = 1

    def _end_sheet(self) -> None:
        if self._sheet is not None:
            self._put(SHEET_END.encode())
            self._sheet.close()
            self._sheet = None

    def _write_rows(self, batch: pa.RecordBatch) -> None:
        encoded = [
            encode_distinct(values, partial(cells, column))
            for column, values in zip(self._columns, batch.columns, strict=True)
        ]
        self._put(lines(["<row>", *encoded, "</row>"], EMPTY_CELL))
        self._rows += batch.num_rows

    def _put(self, data: bytes | memoryview) -> None:
        assert self._sheet is not None  # noqa: S101
        self._sheet.write(data)
        self._bytes += len(data)
