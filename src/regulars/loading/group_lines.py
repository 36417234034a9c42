"""Groups the rows of a file that have the same external id, wherever they are: together they are one transaction."""

import heapq
import sqlite3
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from typing import IO

import msgspec

from regulars.core.errors import QuotingText, encode_message, unquoted
from regulars.loading.readers.rows import FileRow, RawRow, ReadRows, RejectedRow, external_id_of

MAX_TRANSACTION_LINES = 2_000
"""Most lines of one transaction; more are not held in memory."""

MAX_NUMBERS_IN_MEMORY = 1_000_000
"""Numbers that are held before they are written to disk: 8 MB, and 40 MB more while they are sorted."""

LineGroup = list[FileRow]
"""Rows of one transaction, in the order of the file; MAX_TRANSACTION_LINES + 1 of them stand for too many."""

_NUMBERS_PER_READ = 16_384
_MASK = 2**64 - 1


def group_lines(read: ReadRows) -> Iterator[LineGroup | RejectedRow]:
    """Yields the rows of a file grouped by external id, and rejected rows that have none.

    The file is read twice, first to find external ids with rows in several places. Rows of these are buffered on disk
    and yielded last.
    """
    duplicates = _find_duplicates(read)
    with closing(_DiskBuffer()) as buffer:
        for external_id, group in _adjacent(read()):
            if external_id is None:
                yield group[0] if isinstance(group[0], RejectedRow) else group
            elif external_id in duplicates:
                buffer.add(external_id, group)
            else:
                yield group
        yield from buffer.groups()


def has_too_many_lines(group: Sequence[FileRow]) -> bool:
    """Whether a group has more lines than a transaction may have."""
    return len(group) > MAX_TRANSACTION_LINES


def _adjacent(rows: Iterator[FileRow]) -> Iterator[tuple[str | None, LineGroup]]:
    """Groups adjacent rows with the same external id; a row without one is a group by itself."""
    current: str | None = None
    group: LineGroup = []
    for row in rows:
        external_id = external_id_of(row.content) if isinstance(row, RawRow) else row.external_id
        if group and (external_id is None or external_id != current):
            yield current, group
            group = []
        current = external_id
        if len(group) <= MAX_TRANSACTION_LINES:
            group.append(row)
    if group:
        yield current, group


class _DiskBuffer:
    """Rows that are buffered on disk until the whole file has been read."""

    def __init__(self) -> None:
        # An unnamed database is a temporary file that is deleted on close. A generator may change threads.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript("""
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE lines (external_id TEXT, number INTEGER, content BLOB, errors BLOB);
            BEGIN;
        """)

    def add(self, external_id: str, group: LineGroup) -> None:
        """Adds rows."""
        self._database.executemany(
            "INSERT INTO lines VALUES (?, ?, ?, ?)",
            [
                (external_id, row.number, row.content, None)
                if isinstance(row, RawRow)
                else (external_id, row.line, None, _encode(row.errors))
                for row in group
            ],
        )

    def groups(self) -> Iterator[LineGroup]:
        """Yields all rows, grouped by external id."""
        rows = self._database.execute(
            "SELECT external_id, number, content, errors FROM lines ORDER BY external_id, number"
        )
        for _, group in _adjacent(
            RawRow(number, content) if errors is None else RejectedRow(number, _decode(errors), external_id)
            for external_id, number, content, errors in rows
        ):
            yield group

    def close(self) -> None:
        """Deletes the buffer."""
        self._database.close()


def _encode(errors: Mapping[str, str]) -> bytes:
    texts = {field: (text, unquoted(text)) for field, text in errors.items()}
    return msgspec.json.encode(texts, enc_hook=encode_message)


def _decode(errors: bytes) -> dict[str, str]:
    return {field: QuotingText(*texts) for field, texts in msgspec.json.decode(errors).items()}


# Duplicate ids ------------------------------------------------------------------------------------------


class DuplicateIds:
    """The hashes of ids that occur more than once; an id with the same hash by chance is contained as well."""

    def __init__(self, numbers: "array[int]") -> None:
        self._numbers = numbers

    def __contains__(self, external_id: str) -> bool:
        number = hash(external_id) & _MASK
        index = bisect_left(self._numbers, number)
        return index < len(self._numbers) and self._numbers[index] == number


class DuplicateFinder:
    """Finds ids that occur more than once, in bounded memory: hashes are sorted in runs on disk and merged."""

    def __init__(self, in_memory: int = MAX_NUMBERS_IN_MEMORY) -> None:
        self._numbers = array("Q")
        self._in_memory = in_memory
        self._files = ExitStack()
        self._runs: list[IO[bytes]] = []

    def add(self, external_id: str) -> None:
        """Adds one occurrence of an id."""
        self._numbers.append(hash(external_id) & _MASK)
        if len(self._numbers) >= self._in_memory:
            run = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the others
            run.write(array("Q", sorted(self._numbers)).tobytes())
            run.seek(0)
            self._runs.append(run)
            self._numbers = array("Q")

    def find(self) -> DuplicateIds:
        """The ids that were added more than once. Nothing can be added afterwards."""
        duplicates = array("Q")
        with self._files:
            runs = [_numbers(run) for run in self._runs]
            for previous, number in pairwise(heapq.merge(sorted(self._numbers), *runs)):
                if previous == number and (not duplicates or duplicates[-1] != number):
                    duplicates.append(number)
        return DuplicateIds(duplicates)


def _find_duplicates(read: ReadRows) -> DuplicateIds:
    finder = DuplicateFinder()
    for external_id, _ in _adjacent(read()):
        if external_id is not None:
            finder.add(external_id)
    return finder.find()


def _numbers(run: IO[bytes]) -> Iterator[int]:
    while content := run.read(8 * _NUMBERS_PER_READ):
        yield from array("Q", content)
