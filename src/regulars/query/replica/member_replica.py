"""A community's members in columns: an in-memory DuckDB of its own."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa

from regulars.query.replica.bitset_index import MASKS_TYPE, BitsetIndex
from regulars.query.replica.columns import NEXT_CHANGE, VALUES_VERSION, ReplicaColumn
from regulars.query.replica.rewrite import REPLICA_DATABASE, ReplicaPlan
from regulars.storage.spill_folders import spill_folder

_MEMBERS = f"{REPLICA_DATABASE}.members"

_SESSION = f"""
ATTACH ':memory:' AS {REPLICA_DATABASE} (COMPRESS);
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

_EMPTY_BYTES = 5_000_000
"""What DuckDB takes for itself."""

_CHANGES_BEFORE_PACKED = 50_000
"""After so many changed rows they are compressed too, and the room of the old ones is used again."""


_FETCH_ROWS = 1_000
"""Rows that are fetched in one call, during which no other thread runs."""


class MemberReplica:
    """The table, changed by one thread at a time and read by any number of others.

    `columns` are those that it has. `due_at` is when the first of the values
    changes by the clock, `oldest_epoch` the epoch of the oldest of them, `bytes` the memory that it takes.
    """

    def __init__(self, megabytes: int) -> None:
        self.columns: list[ReplicaColumn] = []
        self.bitsets: dict[str, BitsetIndex] = {}
        self.next_due_at: datetime | None = None
        self.oldest_version = 0
        self.memory_bytes = 0
        self._changed = 0
        self._connection = duckdb.connect()
        self._connection.execute(_SESSION)
        # What does not fit goes to where temporary files go. DuckDB makes this folder only then, and takes it away.
        self._connection.execute(
            f"SET memory_limit = '{megabytes}MB'; SET temp_directory = '{spill_folder()}'; {_SEALED}"
        )

    def fetch(self, plan: ReplicaPlan, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement, in any thread."""
        with self._connection.cursor() as cursor:
            cursor.execute(*plan.render(self.bitsets, values))
            found: list[tuple[Any, ...]] = []
            while rows := cursor.fetchmany(_FETCH_ROWS):
                found += rows
            return found

    def fill(self, given: pa.RecordBatchReader, columns: Sequence[ReplicaColumn]) -> None:
        """Makes the table of rows with these columns, in any order."""
        self._stage(given, columns)
        self._connection.execute(f"CREATE TABLE {_MEMBERS} AS SELECT {self._staged(columns)}, 0 AS version FROM staged")
        self.columns = list(columns)
        self._packed()

    def add_columns(self, given: pa.RecordBatchReader, columns: Sequence[ReplicaColumn]) -> None:
        """Adds columns; `given` has a row for each member, its first column the profile's id."""
        self._stage(given, columns)
        replaced = [f'"{each.name}"' for each in columns[1:] if each in self.columns]
        kept = f"kept.* EXCLUDE ({', '.join(replaced)})" if replaced else "kept.*"
        self._connection.execute(
            f"""
            CREATE TABLE {REPLICA_DATABASE}.widened AS
            SELECT {kept}, {self._staged(columns[1:])}
            FROM {_MEMBERS} AS kept
            LEFT JOIN staged USING (profile_id)
            """
        )
        self._connection.execute(
            f"BEGIN; DROP TABLE {_MEMBERS}; ALTER TABLE {REPLICA_DATABASE}.widened RENAME TO members; COMMIT"
        )
        self.columns += [each for each in columns if each not in self.columns]
        self._packed()

    def replace_members(self, given: pa.RecordBatchReader, version: int) -> None:
        """Puts profiles in the place of their rows of before: all columns, and `is_member`."""
        changed = self._stage(given, self.columns, ", is_member")
        if not changed:
            return
        self._connection.execute(
            f"""
            BEGIN;
            DELETE FROM {_MEMBERS} WHERE profile_id IN (SELECT profile_id FROM staged);
            INSERT INTO {_MEMBERS} BY NAME
            SELECT {self._staged(self.columns)}, {version} AS version
            FROM staged
            WHERE is_member;
            COMMIT
            """
        )
        self._settled(changed)

    def update_values(self, given: pa.Table, columns: Sequence[ReplicaColumn]) -> None:
        """Gives members that are there other values; the first column is the profile's id."""
        changed = self._stage(given.to_reader(), columns)
        settings = [f"{name} = {value}" for name, value in self._named(columns[1:]).items()]
        self._connection.execute(
            f"""
            UPDATE {REPLICA_DATABASE}.members AS kept  -- of one community
            SET {", ".join(settings)}
            FROM staged
            WHERE kept.profile_id = staged.profile_id
            """
        )
        self._settled(changed)

    def due_profile_ids(self, now: datetime, epoch: int, version: int, most: int) -> list[UUID]:
        """Profiles whose values are due at `now`, or older than the epoch, as far as their rows are of that version
        or an older one.
        """
        found = self._connection.execute(
            f"""
            SELECT profile_id
            FROM {_MEMBERS}
            WHERE (next_change_at <= $now OR coalesce(values_version, 0) < $epoch) AND version <= $version
            LIMIT {most}
            """,
            {"now": now, "epoch": epoch, "version": version},
        ).fetchall()
        return [row[0] for row in found]

    def count_due(self, now: datetime, epoch: int) -> int:
        """How many members' values are due at `now`, or older than the epoch."""
        return self._number(
            f"SELECT count(*) FROM {_MEMBERS} WHERE next_change_at <= $now OR coalesce(values_version, 0) < $epoch",
            {"now": now, "epoch": epoch},
        )

    def _stage(self, given: pa.RecordBatchReader, columns: Sequence[ReplicaColumn], more: str = "") -> int:
        """Takes rows in, with the words of their lists, and gives the table the words that it lacks; gives how many
        rows there are.
        """
        lists = [each.name for each in columns if each.element_type]
        for name in lists:
            self.bitsets.setdefault(name, BitsetIndex(name))
        counted = 0

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal counted
            for batch in given:
                counted += batch.num_rows
                words = [self.bitsets[name].encode(batch.column(name)) for name in lists]
                yield pa.RecordBatch.from_arrays([*batch.columns, *words], schema=schema)

        schema = pa.schema([*given.schema, *(pa.field(f"{name}:words", MASKS_TYPE) for name in lists)])
        kept = [f'{each.duckdb_expression} AS "{each.name}"' for each in columns] + [
            f'"{name}:words"' for name in lists
        ]
        self._connection.register("given", pa.RecordBatchReader.from_batches(schema, batches()))
        try:
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {', '.join(kept)}{more} FROM given"
            )
        finally:
            self._connection.unregister("given")
        for column in columns:
            if column.element_type:
                self._grow(column)
        return counted

    def _grow(self, column: ReplicaColumn) -> None:
        known = self.bitsets[column.name]
        for number in range(known.word_count, known.required_words):
            if column in self.columns:
                self._connection.execute(
                    f"ALTER TABLE {_MEMBERS} ADD COLUMN {known.word_column(number)} UBIGINT DEFAULT 0"
                )
            known.word_count = number + 1

    def _named(self, columns: Sequence[ReplicaColumn]) -> dict[str, str]:
        """The columns of rows that are staged, and the words of their lists, by name."""
        found = {f'"{each.name}"': f'staged."{each.name}"' for each in columns}
        for each in columns:
            if each.element_type:
                known = self.bitsets[each.name]
                for number in range(known.word_count):
                    found[known.word_column(number)] = f'coalesce(staged."{each.name}:words"[{number + 1}], 0)::UBIGINT'
        return found

    def _staged(self, columns: Sequence[ReplicaColumn]) -> str:
        return ", ".join(f"{value} AS {name}" for name, value in self._named(columns).items())

    def _settled(self, changed: int) -> None:
        self._changed += changed
        if self._changed > _CHANGES_BEFORE_PACKED:
            self._packed()
        self._look()

    def _packed(self) -> None:
        self._connection.execute("DROP TABLE staged")
        try:
            self._connection.execute(f"CHECKPOINT {REPLICA_DATABASE}")
            self._changed = 0
        except duckdb.TransactionException:
            # The table can't be compressed while a statement reads it: the next change tries again.
            self._changed = _CHANGES_BEFORE_PACKED
        self._look()

    def _look(self) -> None:
        self.memory_bytes = _EMPTY_BYTES + self._number("SELECT sum(memory_usage_bytes) FROM duckdb_memory()")
        if NEXT_CHANGE in self.columns:
            self.next_due_at, self.oldest_version = self._connection.execute(
                f"SELECT min({NEXT_CHANGE.name}), coalesce(min(coalesce({VALUES_VERSION.name}, 0)), 0) FROM {_MEMBERS}"
            ).fetchall()[0]

    def _number(self, statement: str, values: Mapping[str, object] = MappingProxyType({})) -> int:
        return int(self._connection.execute(statement, dict(values)).fetchall()[0][0])
