"""Lines of one file with the same external id, wherever they stand in it: one transaction."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

import msgspec

from regulars.loading.duplicates import DuplicateFinder, DuplicateIds
from regulars.loading.readers.rows import FileRow, RawRow, ReadRows, RejectedRow, external_id_of

MAX_TRANSACTION_LINES = 2_000
"""No transaction has more lines; what more there are is not held."""

LineGroup = list[FileRow]
"""Rows that are one transaction, in the order of the file; one more than MOST_LINES stands for too many."""


def group_lines(read: ReadRows) -> Iterator[LineGroup | RejectedRow]:
    """The rows of a file, those of one external id together; and the rejections of rows that have none.

    The file is read twice: first to see which ids come again after others. Their lines wait on disk, and
    come last.
    """
    repeats = _repeats(read)
    with closing(_Waiting()) as waiting:
        for external_id, group in _adjacent(read()):
            if external_id is None:
                yield group[0] if isinstance(group[0], RejectedRow) else group
            elif external_id in repeats:
                waiting.add(external_id, group)
            else:
                yield group
        yield from waiting.groups()


def _repeats(read: ReadRows) -> DuplicateIds:
    sorting = DuplicateFinder()
    for external_id, _ in _adjacent(read()):
        if external_id is not None:
            sorting.add(external_id)
    return sorting.find()


def _adjacent(rows: Iterator[FileRow]) -> Iterator[tuple[str | None, LineGroup]]:
    """Neighbours with one external id; those without any, each alone."""
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


class _Waiting:
    """Lines that wait on disk until the file has been read."""

    def __init__(self) -> None:
        # Without a name it is a file of its own that goes when it is closed. Its user may change threads.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript("""
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE lines (external_id TEXT, number INTEGER, content BLOB, errors BLOB);
            BEGIN;
        """)

    def add(self, external_id: str, group: LineGroup) -> None:
        """Keeps rows for later."""
        self._database.executemany(
            "INSERT INTO lines VALUES (?, ?, ?, ?)",
            [
                (external_id, row.number, row.content, None)
                if isinstance(row, RawRow)
                else (external_id, row.line, None, msgspec.json.encode(row.errors))
                for row in group
            ],
        )

    def groups(self) -> Iterator[LineGroup]:
        """All rows that wait, those of one external id together."""
        found = self._database.execute(
            "SELECT external_id, number, content, errors FROM lines ORDER BY external_id, number"
        )
        for _, group in _adjacent(
            RawRow(number, content) if errors is None else RejectedRow(number, msgspec.json.decode(errors), external_id)
            for external_id, number, content, errors in found
        ):
            yield group

    def close(self) -> None:
        """Ends it and gives its space back."""
        self._database.close()


def has_too_many_lines(group: Sequence[FileRow]) -> bool:
    """Whether a group has more lines than a transaction may have."""
    return len(group) > MAX_TRANSACTION_LINES
