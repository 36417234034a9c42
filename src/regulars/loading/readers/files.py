"""Files of facts: CSV, NDJSON or Parquet, packed by gzip or zstd or not at all, read row by row."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from regulars.facts.columns import Columns
from regulars.loading.readers import csv, ndjson, parquet
from regulars.loading.readers.compression import Compression, decompress, detect_compression
from regulars.loading.readers.limits import UNLIMITED, FileLimits
from regulars.loading.readers.lines import split_lines
from regulars.loading.readers.rows import FileRow


class FileFormat(Enum):
    """How rows are written in a file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


_BY_ENDING = {
    ".csv": FileFormat.CSV,
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".json": FileFormat.NDJSON,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
}
_PACKED = (".gz", ".gzip", ".zst", ".zstd")


class UnreadableFileError(ValueError):
    """A file that can't be read at all; the message says why and what to do."""


def detect_format(path: Path) -> FileFormat:
    """The format that a file's name tells. Raises UnreadableFileError where it tells none."""
    endings = [ending.lower() for ending in path.suffixes]
    while endings and endings[-1] in _PACKED:
        endings.pop()
    found = _BY_ENDING.get(endings[-1]) if endings else None
    if found is None:
        raise UnreadableFileError(f"{path} does not say what it is: give --format csv, ndjson or parquet.")
    return found


@dataclass(slots=True)
class FileSource:
    """A file to be read, more than once if need be.

    `position` is how far it was read the last time, of its `size`, both as it is packed. `file` is what is read where
    it has no path; it stays open.
    """

    path: Path
    format: FileFormat
    compression: Compression
    size: int
    position: int = 0
    limits: FileLimits = UNLIMITED
    file: BinaryIO | None = None

    def rows(self, columns: Columns, row_filter: Callable[[int], bool] | None = None) -> Iterator[FileRow]:
        """All rows from the beginning; of a table of Parquet `only` those of some numbers, where that is said.

        Raises Refused by column where a table lacks one that is required, UnreadableFileError where the
        file can't be opened, FileTooLargeError and ReadAbortedError as the limits say.
        """
        with self.open() as file:
            if self.format is FileFormat.PARQUET:
                yield from parquet.read_rows(file, columns, self.set_position, row_filter)
                return
            found = split_lines(decompress(file, self.compression, self._moved_by, self.limits), self.limits)
            if self.format is FileFormat.CSV:
                yield from csv.read_rows(found, columns, self.limits)
            else:
                yield from ndjson.read_rows(found)

    def _moved_by(self, size: int) -> None:
        self.position += size

    def open(self) -> BinaryIO:
        """The file itself, from the beginning. Raises UnreadableFileError."""
        self.position = 0
        if self.file is not None:
            # The copy shares its position; a file is read by one reader after the other.
            self.file.seek(0)
            return os.fdopen(os.dup(self.file.fileno()), "rb")
        try:
            return self.path.open("rb")
        except OSError as error:
            raise UnreadableFileError(f"{self.path} can't be read: {error.strerror}.") from None

    def set_position(self, position: int) -> None:
        """Notes how far it was read."""
        self.position = position


def list_files(path: Path) -> list[Path]:
    """The files that a path stands for: those of a folder and of the folders in it, in the order of their names.

    Hidden ones, and those that writers leave beside what they wrote, are left out. Raises UnreadableFileError.
    """
    if not path.is_dir():
        return [path]
    found = [
        each
        for each in sorted(path.rglob("*"))
        if each.is_file() and not any(part.startswith((".", "_")) for part in each.relative_to(path).parts)
    ]
    if not found:
        raise UnreadableFileError(f"{path} holds no files.")
    return found


def inspect_file(path: Path, file_format: FileFormat | None = None) -> FileSource:
    """A file by its name; how it is packed shows in its first bytes. Raises UnreadableFileError."""
    try:
        with path.open("rb") as file:
            packing = detect_compression(file.read(4))
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error.strerror}.") from None
    return FileSource(path, file_format or detect_format(path), packing, size)
