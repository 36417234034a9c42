"""DuckDB: values over files and tables on one machine."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from regulars.aggregations.aggregation import Aggregation
from regulars.offline import atomic_output, duckdb_files, writers
from regulars.offline.casting import DUCKDB_DIALECT, InputColumn, TypeFamily
from regulars.offline.errors import InputNotFoundError
from regulars.offline.inputs import InputFiles, match_columns
from regulars.offline.schema import TableSpec
from regulars.offline.structures import InputTable, PlanStep
from regulars.storage.spill_folders import spill_folder

_SESSION = """
SET TimeZone = 'UTC';
SET preserve_insertion_order = false;
SET memory_limit = '60%';
-- The wall clock of an instant, and the instant of a wall clock: of a time that comes twice the first, and one that
-- is skipped moves forward. Both follow from the offset of the day before.
CREATE TEMP MACRO local_time(instant, zone) AS timezone(zone, timezone('UTC', instant));
CREATE TEMP MACRO instant_by_offset_before(wall, zone) AS
    wall - (local_time(wall - INTERVAL 1 DAY, zone) - (wall - INTERVAL 1 DAY));
CREATE TEMP MACRO instant_of(wall, zone) AS
    CASE WHEN zone = 'UTC' THEN wall
         WHEN local_time(instant_by_offset_before(wall, zone), zone) = wall THEN instant_by_offset_before(wall, zone)
         ELSE timezone('UTC', timezone(zone, wall)) END;
"""

_INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
_TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}


class DuckDBEngine:
    """Runs steps in one connection of its own."""

    dialect = DUCKDB_DIALECT

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(_SESSION)
        # What does not fit goes to where temporary files go, and not into whatever folder this was called in. DuckDB
        # makes this one only then, and takes it away.
        self.connection.execute(f"SET temp_directory = '{spill_folder()}'")

    def make(self, step: PlanStep) -> None:
        """Makes a relation: a table where it is read more than once."""
        kind = "TABLE" if step.is_materialized else "VIEW"
        self._run(f"CREATE OR REPLACE TEMP {kind} {step.name} AS\n{step.sql}")

    def make_pairs(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Makes a small relation of texts."""
        listed = ", ".join(f"unnest(CAST(? AS VARCHAR[])) AS {each}" for each in columns)
        lists = [[row[place] for row in rows] for place in range(len(columns))]
        self.connection.execute(f"CREATE TEMP TABLE {name} AS SELECT {listed}", lists)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of something small."""
        return self._run(sql).fetchall()

    def answer(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a report's statement with its values by place."""
        try:
            return self.connection.execute(statement, list(values)).fetchall()
        except duckdb.Error as error:
            raise duckdb_files.to_input_error(error) from None

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self.connection.execute(sql)
        except duckdb.Error as error:
            raise duckdb_files.to_input_error(error) from None

    def source(self, table: TableSpec, thing: Any, names: Mapping[str, str]) -> InputTable:
        """A table as it was given. Raises InvalidInputError for what can't be read, or lacks a required column."""
        relation = self._relation(table, thing)
        try:
            rows = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except duckdb.Error as error:
            what = thing.pattern if isinstance(thing, InputFiles) else f"a {type(thing).__name__}"
            raise duckdb_files.to_input_error(error, f"{table.name}: {what}") from None
        there = {name: _given(name, kind) for name, kind, *_ in rows}
        return InputTable(table, relation, match_columns(table, there, names))

    def _relation(self, table: TableSpec, thing: Any) -> str:
        if isinstance(thing, InputFiles):
            return duckdb_files.scan(self.connection, thing, table)
        name = f"given_{table.name}"
        # What can be read once only is kept.
        thing = thing.read_all() if hasattr(thing, "read_all") else thing
        try:
            self.connection.register(name, thing)
        except (duckdb.Error, TypeError, ValueError):
            raise InputNotFoundError(
                f"{table.name}: give a path, a pandas or Polars frame, or an Arrow table of usual types, "
                f"not {type(thing).__name__}."
            ) from None
        return name

    def table(self, select: str) -> Any:
        """The values as an Arrow table, by profile and instant."""
        try:
            return self.connection.sql(f"{select}\nORDER BY value.k").to_arrow_table()
        except duckdb.Error as error:
            raise duckdb_files.to_input_error(error) from None

    def write(self, select: str, place: str, shown: Sequence[Aggregation]) -> None:
        """Writes values to one file, here or in an object store: Parquet or CSV by its name."""
        with atomic_output.atomic_replace(place) as path:
            self._run(writers.copy_statement(select, path, shown))


def _given(name: str, kind: str) -> InputColumn:
    quoted = '"' + name.replace('"', '""') + '"'
    bare = kind.split("(")[0]
    if kind.endswith("]"):
        return InputColumn(quoted, TypeFamily.LIST)
    if bare in ("STRUCT", "MAP"):
        return InputColumn(quoted, TypeFamily.OBJECT)
    if bare == '"NULL"':
        # A column in which nothing is, of no type.
        return InputColumn(f"CAST({quoted} AS VARCHAR)", TypeFamily.TEXT)
    if bare == "DECIMAL":
        return InputColumn(quoted, TypeFamily.DECIMAL, int(kind.split(",")[1].strip(" )")))
    if bare in ("VARCHAR", "UUID", "ENUM", "JSON"):
        return InputColumn(quoted if bare == "VARCHAR" else f"CAST({quoted} AS VARCHAR)", TypeFamily.TEXT)
    if bare in _INTEGERS:
        return InputColumn(quoted, TypeFamily.INTEGER)
    if bare in _TIMES:
        return InputColumn(f"CAST({quoted} AS TIMESTAMP)", TypeFamily.LOCAL_TIME)
    if bare.startswith(("TIMESTAMP WITH", "TIMESTAMPTZ")):
        return InputColumn(f"CAST({quoted} AS TIMESTAMPTZ)", TypeFamily.TIMESTAMP)
    families = {
        "DOUBLE": TypeFamily.FLOAT,
        "FLOAT": TypeFamily.FLOAT,
        "BOOLEAN": TypeFamily.BOOLEAN,
        "DATE": TypeFamily.DATE,
    }
    return InputColumn(quoted, families.get(bare, TypeFamily.OTHER))
