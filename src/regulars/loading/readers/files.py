"""Files to load: CSV, NDJSON, Parquet or a spreadsheet, plain or compressed by gzip or zstd, read row by row."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from regulars.facts.columns import Columns
from regulars.file_dialects.compression import Compression, decompress, detect_compression
from regulars.file_dialects.dialect import FileDialect, detect_dialect, detect_sheet_dialect, stated_dialect
from regulars.file_dialects.encodings import to_utf_8
from regulars.file_dialects.limits import UNLIMITED, FileLimits
from regulars.file_dialects.options import DETECT, DialectOptions
from regulars.file_dialects.spreadsheets import Sheet, UnreadableSheetError, read_sheet
from regulars.loading.readers import parquet
from regulars.loading.readers.rows import FileRow
from regulars.loading.readers.text import read_csv, read_ndjson, read_sheet_rows, split_lines


class FileFormat(Enum):
    """The format of a file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    XLSX = "xlsx"


_BY_SUFFIX = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".txt": FileFormat.CSV,
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".json": FileFormat.NDJSON,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".xlsx": FileFormat.XLSX,
}
_COMPRESSED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")


class UnreadableFileError(ValueError):
    """A file can't be read at all; the message says why and what to do."""


def detect_format(path: Path) -> FileFormat:
    """The format of a file by its name. Raises UnreadableFileError if the name has no known suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED_SUFFIXES:
        suffixes.pop()
    file_format = _BY_SUFFIX.get(suffixes[-1]) if suffixes else None
    if file_format is None:
        raise UnreadableFileError(
            f"Unknown format of {path}: its name has no known suffix. Add --format csv, ndjson, parquet or xlsx."
        )
    return file_format


@dataclass(slots=True)
class FileSource:
    """A file that can be read several times.

    `position` is how many of its `size` bytes, both compressed, the last reading has read. An open `file` is read
    instead of the path and stays open. `options` state how it is written; the rest is detected at the first reading.
    """

    path: Path
    format: FileFormat
    compression: Compression
    size: int
    position: int = 0
    limits: FileLimits = UNLIMITED
    file: BinaryIO | None = None
    options: DialectOptions = DETECT
    _dialect: FileDialect | None = None
    _sheet: Sheet | None = None

    def dialect(self, columns: Columns) -> FileDialect:
        """How the file is written. Raises as `rows` does."""
        if self._dialect is None:
            self._dialect = self._detect(columns)
        return self._dialect

    def describe(self, columns: Columns) -> str:
        """How the file is read, in words. Raises as `rows` does."""
        if self.format in (FileFormat.CSV, FileFormat.XLSX):
            return self.dialect(columns).description
        return "Parquet" if self.format is FileFormat.PARQUET else "NDJSON"

    def interpret(self, columns: Columns) -> Columns:
        """The columns with the format of the cells of this file. Raises as `rows` does."""
        return replace(columns, cell_format=self.dialect(columns).cell_format)

    def _detect(self, columns: Columns) -> FileDialect:
        if self.format is FileFormat.XLSX:
            return detect_sheet_dialect(self._read_sheet(), self.options, columns.types_in_file)
        if self.format is not FileFormat.CSV:
            return stated_dialect(self.options)
        default = "\t" if ".tsv" in self.path.suffixes else ","
        with self.open() as file:
            chunks = decompress(file, self.compression, lambda size: None, self.limits)
            return detect_dialect(chunks, self.options, columns.types_in_file, columns.names_in_file, default)

    def _read_sheet(self) -> Sheet:
        if self._sheet is None:
            with self.open() as file:
                try:
                    self._sheet = read_sheet(file, self.options.sheet)
                except UnreadableSheetError as error:
                    raise UnreadableFileError(f"{self.path} {error}.") from None
        return self._sheet

    def rows(self, columns: Columns, row_filter: Callable[[int], bool] | None = None) -> Iterator[FileRow]:
        """Yields all rows from the beginning; of Parquet, only rows whose numbers pass `row_filter`.

        Raises ValidationError if a required column is missing, UnreadableFileError if the file can't be opened,
        FileTooLargeError and ReadAbortedError by the limits.
        """
        dialect, columns = self.dialect(columns), self.interpret(columns)
        if self.format is FileFormat.XLSX:
            self.set_position(self.size)
            yield from read_sheet_rows(self._read_sheet(), columns, dialect)
            return
        with self.open() as file:
            if self.format is FileFormat.PARQUET:
                yield from parquet.read_rows(file, columns, self.set_position, row_filter)
                return
            content = to_utf_8(decompress(file, self.compression, self._advance, self.limits), dialect.encoding)
            lines = split_lines(content, self.limits)
            if self.format is FileFormat.CSV:
                yield from read_csv(lines, columns, self.limits, dialect)
            else:
                yield from read_ndjson(lines, columns)

    def _advance(self, size: int) -> None:
        self.position += size

    def open(self) -> BinaryIO:
        """Opens the file at its beginning. Raises UnreadableFileError."""
        self.position = 0
        if self.file is not None:
            # The duplicated descriptor shares the position, so a file has one reader at a time.
            self.file.seek(0)
            return os.fdopen(os.dup(self.file.fileno()), "rb")
        try:
            return self.path.open("rb")
        except OSError as error:
            raise UnreadableFileError(f"{self.path} can't be read: {error.strerror}.") from None

    def set_position(self, position: int) -> None:
        """Records how many bytes have been read."""
        self.position = position


def list_files(path: Path) -> list[Path]:
    """The files at a path: the file itself, or all files in a folder and its subfolders, ordered by name.

    Hidden files and those that begin with an underscore, which writers of lakes leave, are skipped. Raises
    UnreadableFileError if there are none.
    """
    if not path.is_dir():
        return [path]
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    ]
    if not found:
        raise UnreadableFileError(f"{path} holds no files.")
    return found


def inspect_file(path: Path, file_format: FileFormat | None = None, options: DialectOptions = DETECT) -> FileSource:
    """A file with its format, size, and its compression by its first bytes. Raises UnreadableFileError."""
    try:
        with path.open("rb") as file:
            compression = detect_compression(file.read(4))
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error.strerror}.") from None
    return FileSource(path, file_format or detect_format(path), compression, size, options=options)
