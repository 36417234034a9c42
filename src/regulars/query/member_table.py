"""A community's members in columns: an in-memory DuckDB of its own."""

import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa

from regulars.query.copied_columns import EPOCH, NEXT_CHANGE, Column
from regulars.query.elements import BITS, MOST, Elements
from regulars.query.planned import DATABASE, Plan

_MEMBERS = f"{DATABASE}.members"

_SESSION = f"""
ATTACH ':memory:' AS {DATABASE} (COMPRESS);
SET TimeZone = 'UTC';
SET preserve_insertion_order = false;
-- Several requests share the cores better than the threads of each.
SET threads = 1;
SET autoinstall_known_extensions = false;
"""

_SEALED = """
SET enable_external_access = false;
SET lock_configuration = true;
"""

_CHANGES_BEFORE_PACKED = 50_000
"""After so many changed rows they are compressed too, and the room of the old ones is used again."""


class MemberTable:
    """The table, changed by one thread at a time and read by any number of others.

    `columns` are those that it has. `due_at` is when the first of the values
    changes by the clock, `oldest_epoch` the epoch of the oldest of them.
    """

    def __init__(self, megabytes: int) -> None:
        self.columns: list[Column] = []
        self.elements: dict[str, Elements] = {}
        self.due_at: datetime | None = None
        self.oldest_epoch = 0
        self._changed = 0
        self._connection = duckdb.connect()
        self._connection.execute(_SESSION)
        # What does not fit goes to where temporary files go. DuckDB makes this folder only then, and takes it away.
        spilled = Path(tempfile.gettempdir()) / f"regulars-{uuid.uuid4().hex}"
        self._connection.execute(f"SET memory_limit = '{megabytes}MB'; SET temp_directory = '{spilled}'; {_SEALED}")

    @property
    def bytes(self) -> int:
        """The memory that it takes."""
        return self._number("SELECT sum(memory_usage_bytes) FROM duckdb_memory()")

    def rows(self, plan: Plan, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement, in any thread."""
        with self._connection.cursor() as cursor:
            return cursor.execute(*plan.asked(self.elements, values)).fetchall()

    def fill(self, given: pa.RecordBatchReader, columns: Sequence[Column]) -> None:
        """Makes the table of rows with these columns, in any order."""
        self._stage(given, columns)
        self._learn(columns)
        self.columns = list(columns)
        self._connection.execute(f"CREATE TABLE {_MEMBERS} AS SELECT *, 0 AS version FROM ({self._staged(columns)})")
        self._packed()

    def widen(self, given: pa.RecordBatchReader, columns: Sequence[Column]) -> None:
        """Adds columns; `given` has a row for each member, its first column the profile's id."""
        self._stage(given, columns)
        added = [each for each in columns if each not in self.columns]
        self._learn(added)
        replaced = [f'"{each.name}"' for each in columns[1:] if each in self.columns]
        kept = f"kept.* EXCLUDE ({', '.join(replaced)})" if replaced else "kept.*"
        self._connection.execute(
            f"""
            CREATE TABLE {DATABASE}.widened AS
            SELECT {kept}, told.* EXCLUDE (profile_id)
            FROM {_MEMBERS} AS kept
            LEFT JOIN ({self._staged(columns)}) AS told USING (profile_id)
            """
        )
        self._connection.execute(
            f"BEGIN; DROP TABLE {_MEMBERS}; ALTER TABLE {DATABASE}.widened RENAME TO members; COMMIT"
        )
        self.columns += added
        self._packed()

    def change(self, given: pa.RecordBatchReader, version: int) -> None:
        """Puts profiles in the place of their rows of before: all columns, and `is_member`."""
        self._stage(given, self.columns, ", is_member")
        self._learn(self.columns)
        self._connection.execute(
            f"""
            BEGIN;
            DELETE FROM {_MEMBERS} WHERE profile_id IN (SELECT profile_id FROM staged);
            INSERT INTO {_MEMBERS} BY NAME
            SELECT * EXCLUDE (is_member), {version} AS version
            FROM ({self._staged(self.columns, "is_member")})
            WHERE is_member;
            COMMIT
            """
        )
        self._settled()

    def revise(self, given: pa.Table, columns: Sequence[Column]) -> None:
        """Gives members that are there other values; the first column is the profile's id."""
        self._stage(given, columns)
        self._learn(columns)
        words = [word for each in columns for word in self._words(each)]
        names = [*(f'"{each.name}"' for each in columns[1:]), *words]
        self._connection.execute(
            f"""
            UPDATE {_MEMBERS} AS kept
            SET {", ".join(f"{name} = told.{name}" for name in names)}
            FROM ({self._staged(columns)}) AS told
            WHERE kept.profile_id = told.profile_id
            """
        )
        self._settled()

    def due(self, now: datetime, epoch: int, version: int, most: int) -> list[UUID]:
        """Profiles whose values are due at `now`, or older than the epoch, as far as their rows are of that version
        or an older one.
        """
        found = self._connection.execute(
            f"""
            SELECT profile_id
            FROM {_MEMBERS}
            WHERE (next_change_at <= $now OR coalesce(values_epoch, 0) < $epoch) AND version <= $version
            LIMIT {most}
            """,
            {"now": now, "epoch": epoch, "version": version},
        ).fetchall()
        return [row[0] for row in found]

    def count_due(self, now: datetime, epoch: int) -> int:
        """How many members' values are due at `now`, or older than the epoch."""
        return self._number(
            f"SELECT count(*) FROM {_MEMBERS} WHERE next_change_at <= $now OR coalesce(values_epoch, 0) < $epoch",
            {"now": now, "epoch": epoch},
        )

    def _stage(self, given: object, columns: Sequence[Column], more: str = "") -> None:
        kept = ", ".join(f'{each.kept} AS "{each.name}"' for each in columns)
        self._connection.register("given", given)
        try:
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {kept}{more} FROM given")
        finally:
            self._connection.unregister("given")

    def _learn(self, columns: Iterable[Column]) -> None:
        """Gives the elements of the lists that are staged their bits, and the table the words that it lacks."""
        for each in columns:
            if not each.element:
                continue
            if each.name not in self.elements:
                self.elements[each.name] = Elements(each.name)
                self._connection.execute(
                    f"CREATE TABLE {_bits_of(each)} (element {each.element}, word INT, mask UBIGINT)"
                )
            known = self.elements[each.name]
            if known.are_too_many:
                continue
            first = len(known.bits)
            found = self._new_elements(each)
            new = known.learn(found)
            if each in self.columns:
                for number in new:
                    self._connection.execute(
                        f"ALTER TABLE {_MEMBERS} ADD COLUMN {known.word(number)} UBIGINT DEFAULT 0"
                    )
            known.grown(new)
            if found and not known.are_too_many:
                self._connection.execute(
                    f"""
                    INSERT INTO {_bits_of(each)}
                    SELECT element, bit // {BITS}, 1::UBIGINT << (bit % {BITS})
                    FROM (SELECT unnest($found) AS element, unnest(range($first, $first + len($found))) AS bit)
                    """,
                    {"found": found, "first": first},
                )

    def _new_elements(self, of: Column) -> list[object]:
        found = self._connection.execute(
            f"""
            SELECT DISTINCT element
            FROM (SELECT unnest("{of.name}") AS element FROM staged)
            WHERE element IS NOT NULL AND element NOT IN (SELECT element FROM {_bits_of(of)})
            LIMIT {MOST + 1}
            """
        ).fetchall()
        return [row[0] for row in found]

    def _words(self, column: Column) -> list[str]:
        known = self.elements.get(column.name)
        return [] if known is None or known.are_too_many else [known.word(number) for number in range(known.words)]

    def _staged(self, columns: Sequence[Column], *more: str) -> str:
        """The rows that are staged, with the words of their lists."""
        selected = [f'staged."{each}"' for each in (*(each.name for each in columns), *more)]
        joins = ""
        for each in columns:
            if words := self._words(each):
                masks = ", ".join(f"bit_or(mask) FILTER (WHERE word = {n}) AS {word}" for n, word in enumerate(words))
                bits = f'"bits of {each.name}"'
                selected += [f"coalesce({bits}.{word}, 0::UBIGINT) AS {word}" for word in words]
                joins += f"""
LEFT JOIN (
    SELECT profile_id, {masks}
    FROM (SELECT profile_id, unnest("{each.name}") AS element FROM staged)
    JOIN {_bits_of(each)} USING (element)
    GROUP BY profile_id
) AS {bits} ON {bits}.profile_id = staged.profile_id"""
        return f"SELECT {', '.join(selected)}\nFROM staged{joins}"

    def _settled(self) -> None:
        self._changed += self._number("SELECT count(*) FROM staged")
        if self._changed > _CHANGES_BEFORE_PACKED:
            self._packed()
        self._look()

    def _packed(self) -> None:
        try:
            self._connection.execute(f"DROP TABLE staged; CHECKPOINT {DATABASE}")
            self._changed = 0
        except duckdb.TransactionException:
            # Somebody reads; it is tried again after the next change.
            self._changed = _CHANGES_BEFORE_PACKED
        self._look()

    def _look(self) -> None:
        if NEXT_CHANGE in self.columns:
            self.due_at, self.oldest_epoch = self._connection.execute(
                f"SELECT min({NEXT_CHANGE.name}), coalesce(min(coalesce({EPOCH.name}, 0)), 0) FROM {_MEMBERS}"
            ).fetchall()[0]

    def _number(self, statement: str, values: Mapping[str, object] = MappingProxyType({})) -> int:
        return int(self._connection.execute(statement, dict(values)).fetchall()[0][0])


def _bits_of(column: Column) -> str:
    """The table of the elements of a column of lists: which word each is in, and its bit there."""
    return f'{DATABASE}."elements of {column.name}"'
