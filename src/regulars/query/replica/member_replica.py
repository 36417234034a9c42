"""The columnar replica of one community's members: a table in an in-memory DuckDB."""

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
-- Parallel requests use the cores better than parallel threads of one request.
SET threads = 1;
SET autoinstall_known_extensions = false;
"""

_LOCK_DOWN = """
SET enable_external_access = false;
SET lock_configuration = true;
"""

_EMPTY_BYTES = 5_000_000
"""Memory of an empty DuckDB."""

_CHANGES_BEFORE_CHECKPOINT = 50_000
"""After this many changed rows a checkpoint compresses them and reclaims the space of old versions."""

_FETCH_ROWS = 1_000
"""Rows of one fetch call, during which the GIL is held."""


class MemberReplica:
    """A table of members, written by one thread at a time and read by any number of others.

    `next_due_at` is when the first of its values changes by the clock, `oldest_version` the lowest version of its
    values.
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
        # DuckDB spills to this folder, which it creates when needed and removes.
        self._connection.execute(
            f"SET memory_limit = '{megabytes}MB'; SET temp_directory = '{spill_folder()}'; {_LOCK_DOWN}"
        )

    def fetch(self, plan: ReplicaPlan, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Runs a statement, and returns its rows. Thread-safe."""
        with self._connection.cursor() as cursor:
            cursor.execute(*plan.render(self.bitsets, values))
            found: list[tuple[Any, ...]] = []
            while rows := cursor.fetchmany(_FETCH_ROWS):
                found += rows
            return found

    def fill(self, batches: pa.RecordBatchReader, columns: Sequence[ReplicaColumn]) -> None:
        """Creates the table from rows with these columns."""
        self._stage(batches, columns)
        self._connection.execute(
            f"CREATE TABLE {_MEMBERS} AS SELECT {self._staged_list(columns)}, 0 AS version FROM staged"
        )
        self.columns = list(columns)
        self._checkpoint()

    def add_columns(self, batches: pa.RecordBatchReader, columns: Sequence[ReplicaColumn]) -> None:
        """Adds columns; `batches` has a row for each member, its first column the profile's id."""
        self._stage(batches, columns)
        replaced = [f'"{each.name}"' for each in columns[1:] if each in self.columns]
        current = f"current.* EXCLUDE ({', '.join(replaced)})" if replaced else "current.*"
        self._connection.execute(
            f"""
            CREATE TABLE {REPLICA_DATABASE}.widened AS
            SELECT {current}, {self._staged_list(columns[1:])}
            FROM {_MEMBERS} AS current
            LEFT JOIN staged USING (profile_id)
            """
        )
        self._connection.execute(
            f"BEGIN; DROP TABLE {_MEMBERS}; ALTER TABLE {REPLICA_DATABASE}.widened RENAME TO members; COMMIT"
        )
        self.columns += [each for each in columns if each not in self.columns]
        self._checkpoint()

    def replace_members(self, batches: pa.RecordBatchReader, version: int) -> None:
        """Replaces the rows of profiles; `batches` has all columns, and `is_member`."""
        changed = self._stage(batches, self.columns, ", is_member")
        if not changed:
            return
        self._connection.execute(
            f"""
            BEGIN;
            DELETE FROM {_MEMBERS} WHERE profile_id IN (SELECT profile_id FROM staged);
            INSERT INTO {_MEMBERS} BY NAME
            SELECT {self._staged_list(self.columns)}, {version} AS version
            FROM staged
            WHERE is_member;
            COMMIT
            """
        )
        self._after_change(changed)

    def update_values(self, batches: pa.Table, columns: Sequence[ReplicaColumn]) -> None:
        """Updates columns of existing members; the first column is the profile's id."""
        changed = self._stage(batches.to_reader(), columns)
        settings = [f"{name} = {value}" for name, value in self._staged_expressions(columns[1:]).items()]
        self._connection.execute(
            f"""
            UPDATE {REPLICA_DATABASE}.members AS current  -- of one community
            SET {", ".join(settings)}
            FROM staged
            WHERE current.profile_id = staged.profile_id
            """
        )
        self._after_change(changed)

    def due_profile_ids(self, now: datetime, values_version: int, version: int, limit: int) -> list[UUID]:
        """Profiles whose values are due at `now` or older than `values_version`, and whose rows are not newer than
        `version`.
        """
        found = self._connection.execute(
            f"""
            SELECT profile_id
            FROM {_MEMBERS}
            WHERE (next_change_at <= $now OR coalesce(values_version, 0) < $values_version) AND version <= $version
            LIMIT {limit}
            """,
            {"now": now, "values_version": values_version, "version": version},
        ).fetchall()
        return [row[0] for row in found]

    def count_due(self, now: datetime, values_version: int) -> int:
        """The number of members whose values are due at `now` or older than `values_version`."""
        return self._number(
            f"SELECT count(*) FROM {_MEMBERS} WHERE next_change_at <= $now OR coalesce(values_version, 0) < $values_version",
            {"now": now, "values_version": values_version},
        )

    def _stage(self, batches: pa.RecordBatchReader, columns: Sequence[ReplicaColumn], extra_columns: str = "") -> int:
        """Stages rows with the bitsets of their lists, and returns their number. Adds bitset columns that the table lacks."""
        lists = [each.name for each in columns if each.element_type]
        for name in lists:
            self.bitsets.setdefault(name, BitsetIndex(name))
        row_count = 0

        def with_bitsets() -> Iterator[pa.RecordBatch]:
            nonlocal row_count
            for batch in batches:
                row_count += batch.num_rows
                words = [self.bitsets[name].encode(batch.column(name)) for name in lists]
                yield pa.RecordBatch.from_arrays([*batch.columns, *words], schema=schema)

        schema = pa.schema([*batches.schema, *(pa.field(f"{name}:words", MASKS_TYPE) for name in lists)])
        expressions = [f'{each.duckdb_expression} AS "{each.name}"' for each in columns] + [
            f'"{name}:words"' for name in lists
        ]
        self._connection.register("imported", pa.RecordBatchReader.from_batches(schema, with_bitsets()))
        try:
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {', '.join(expressions)}{extra_columns} FROM imported"
            )
        finally:
            self._connection.unregister("imported")
        for column in columns:
            if column.element_type:
                self._add_word_columns(column)
        return row_count

    def _add_word_columns(self, column: ReplicaColumn) -> None:
        index = self.bitsets[column.name]
        for number in range(index.word_count, index.required_words):
            if column in self.columns:
                self._connection.execute(
                    f"ALTER TABLE {_MEMBERS} ADD COLUMN {index.word_column(number)} UBIGINT DEFAULT 0"
                )
            index.word_count = number + 1

    def _staged_expressions(self, columns: Sequence[ReplicaColumn]) -> dict[str, str]:
        """The expressions of staged columns and of the bitsets of their lists, by column name."""
        found = {f'"{each.name}"': f'staged."{each.name}"' for each in columns}
        for each in columns:
            if each.element_type:
                index = self.bitsets[each.name]
                for number in range(index.word_count):
                    found[index.word_column(number)] = f'coalesce(staged."{each.name}:words"[{number + 1}], 0)::UBIGINT'
        return found

    def _staged_list(self, columns: Sequence[ReplicaColumn]) -> str:
        return ", ".join(f"{value} AS {name}" for name, value in self._staged_expressions(columns).items())

    def _after_change(self, changed: int) -> None:
        self._changed += changed
        if self._changed > _CHANGES_BEFORE_CHECKPOINT:
            self._checkpoint()
        self._update_statistics()

    def _checkpoint(self) -> None:
        self._connection.execute("DROP TABLE staged")
        try:
            self._connection.execute(f"CHECKPOINT {REPLICA_DATABASE}")
            self._changed = 0
        except duckdb.TransactionException:
            # A checkpoint is not possible while a statement reads the table; the next change tries again.
            self._changed = _CHANGES_BEFORE_CHECKPOINT
        self._update_statistics()

    def _update_statistics(self) -> None:
        self.memory_bytes = _EMPTY_BYTES + self._number("SELECT sum(memory_usage_bytes) FROM duckdb_memory()")
        if NEXT_CHANGE in self.columns:
            self.next_due_at, self.oldest_version = self._connection.execute(
                f"SELECT min({NEXT_CHANGE.name}), coalesce(min(coalesce({VALUES_VERSION.name}, 0)), 0) FROM {_MEMBERS}"
            ).fetchall()[0]

    def _number(self, statement: str, values: Mapping[str, object] = MappingProxyType({})) -> int:
        return int(self._connection.execute(statement, dict(values)).fetchall()[0][0])
