"""DuckDB engine: values from files and tables on one machine."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from duckdb.func import PythonUDFType
from duckdb.sqltypes import VARCHAR

from regulars.aggregations.aggregation import Aggregation
from regulars.offline import atomic_output, duckdb_files, frames, item_lists, writers
from regulars.offline.casting import DUCKDB_DIALECT, READ_ITEM_LISTS, InputColumn, TypeFamily
from regulars.offline.errors import InputNotFoundError
from regulars.offline.input_dialects import readable_files
from regulars.offline.inputs import InputFiles, match_columns
from regulars.offline.schema import TableSpec
from regulars.offline.structures import InputTable, PlanStep
from regulars.storage.spill_folders import spill_folder

SMALL_ROWS = 5_000
"""Below it, planning the expressions of typed rows with every statement takes longer than storing these rows."""

_SESSION = """
SET TimeZone = 'UTC';
SET preserve_insertion_order = false;
SET memory_limit = '60%';
-- Local time of an instant, and instant of a local time: the first one of an ambiguous time, and a skipped time moves
-- forward. Both follow from the UTC offset of the day before.
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
    """Runs plan steps in its own connection."""

    dialect = DUCKDB_DIALECT

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(_SESSION)
        self.connection.create_function(
            READ_ITEM_LISTS, item_lists.read_lists, [VARCHAR], VARCHAR, type=PythonUDFType.ARROW
        )
        self._copies: list[Any] = []
        # Spill to the folder for temporary files instead of the current directory. DuckDB creates and removes it.
        self.connection.execute(f"SET temp_directory = '{spill_folder()}'")

    def number_rows(self, relation: str) -> str:
        """A relation with `row_number`. Scans in the order of files take longer, so others do not use it."""
        self.connection.execute("SET preserve_insertion_order = true")
        return f"(SELECT *, row_number() OVER () AS row_number FROM {relation})"

    def create(self, step: PlanStep) -> None:
        """Creates a relation: a table if it is materialized, else a view."""
        object_type = "TABLE" if step.is_materialized else "VIEW"
        self._run(f"CREATE OR REPLACE TEMP {object_type} {step.name} AS\n{step.sql}")

    def is_small(self, relation: str) -> bool:
        """Whether an input has fewer than SMALL_ROWS rows."""
        ((rows,),) = self.fetch(f"SELECT count(*) FROM (SELECT 1 FROM {relation} LIMIT {SMALL_ROWS}) AS first_rows")
        return bool(rows < SMALL_ROWS)

    def create_lookup(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Creates a small table of strings."""
        unnested = ", ".join(f"unnest(CAST(? AS VARCHAR[])) AS {each}" for each in columns)
        lists = [[row[index] for row in rows] for index in range(len(columns))]
        self.connection.execute(f"CREATE TEMP TABLE {name} AS SELECT {unnested}", lists)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        return self._run(sql).fetchall()

    def execute(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a report's statement with positional parameters."""
        try:
            return self.connection.execute(statement, list(values)).fetchall()
        except duckdb.Error as error:
            raise duckdb_files.to_input_error(error) from None

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self.connection.execute(sql)
        except duckdb.Error as error:
            raise duckdb_files.to_input_error(error) from None

    def register(self, table: TableSpec, value: Any, names: Mapping[str, str]) -> InputTable:
        """Registers an input table. Raises InvalidInputError if it can't be read or lacks a required column."""
        if isinstance(value, InputFiles):
            value = readable_files(value, table, self._copies)
        relation = self._relation(table, value)
        try:
            rows = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except duckdb.Error as error:
            description = value.pattern if isinstance(value, InputFiles) else f"a {type(value).__name__}"
            raise duckdb_files.to_input_error(error, f"{table.name}: {description}") from None
        available = {name: _input_column(name, column_type) for name, column_type, *_ in rows}
        matched = match_columns(table, available, names)
        if isinstance(value, InputFiles):
            read = [names.get(name, name) for name in matched]
            duckdb_files.require_unique_columns(self.connection, value, table, read, available.keys())
        return InputTable(table, relation, matched)

    def _relation(self, table: TableSpec, value: Any) -> str:
        if isinstance(value, InputFiles):
            return duckdb_files.scan(self.connection, value, table)
        name = f"input_{table.name}"
        # A reader can be consumed only once, so it is materialized.
        value = value.read_all() if hasattr(value, "read_all") else value
        try:
            self.connection.register(name, value)
        except (duckdb.Error, TypeError, ValueError):
            raise InputNotFoundError(
                f"{table.name}: unsupported input of type {type(value).__name__}. Allowed: {frames.ALLOWED}."
            ) from None
        return name

    def to_table(self, select: str) -> Any:
        """The values as an Arrow table, ordered by profile and instant."""
        try:
            return self.connection.sql(f"{select}\nORDER BY value.k").to_arrow_table()
        except duckdb.Error as error:
            raise duckdb_files.to_input_error(error) from None

    def write(self, select: str, target: str, aggregations: Sequence[Aggregation]) -> None:
        """Writes values to a local file or an object store, as Parquet or CSV by extension."""
        with atomic_output.atomic_replace(target) as path:
            self._run(writers.copy_statement(select, path, aggregations))


def _input_column(name: str, column_type: str) -> InputColumn:
    quoted = '"' + name.replace('"', '""') + '"'
    base_type = column_type.split("(")[0]
    if column_type.endswith("]"):
        return InputColumn(quoted, TypeFamily.LIST)
    if base_type in ("STRUCT", "MAP"):
        return InputColumn(quoted, TypeFamily.OBJECT)
    if base_type == '"NULL"':
        # A column without values has no type.
        return InputColumn(f"CAST({quoted} AS VARCHAR)", TypeFamily.TEXT)
    if base_type == "DECIMAL":
        return InputColumn(quoted, TypeFamily.DECIMAL, int(column_type.split(",")[1].strip(" )")))
    if base_type in ("VARCHAR", "UUID", "ENUM", "JSON"):
        return InputColumn(quoted if base_type == "VARCHAR" else f"CAST({quoted} AS VARCHAR)", TypeFamily.TEXT)
    if base_type in _INTEGERS:
        return InputColumn(quoted, TypeFamily.INTEGER)
    if base_type in _TIMES:
        return InputColumn(f"CAST({quoted} AS TIMESTAMP)", TypeFamily.LOCAL_TIME)
    if base_type.startswith(("TIMESTAMP WITH", "TIMESTAMPTZ")):
        return InputColumn(f"CAST({quoted} AS TIMESTAMPTZ)", TypeFamily.TIMESTAMP)
    families = {
        "DOUBLE": TypeFamily.FLOAT,
        "FLOAT": TypeFamily.FLOAT,
        "BOOLEAN": TypeFamily.BOOLEAN,
        "DATE": TypeFamily.DATE,
    }
    return InputColumn(quoted, families.get(base_type, TypeFamily.OTHER))
