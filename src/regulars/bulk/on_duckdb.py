"""DuckDB: values over files and tables on one machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from regulars.bulk import output
from regulars.bulk.given import CSV, Files, matched
from regulars.bulk.reading import DUCKDB_DIALECT, Family, Given
from regulars.bulk.refusals import UnfitError
from regulars.bulk.shape import Source, Step
from regulars.bulk.tables import Table

_SESSION = """
SET TimeZone = 'UTC';
SET preserve_insertion_order = false;
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


class OnDuckDB:
    """Runs steps in one connection of its own."""

    dialect = DUCKDB_DIALECT
    numbers_profiles = True

    def __init__(self, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        self.connection = connection or duckdb.connect()
        self.connection.execute(_SESSION)

    def make(self, step: Step) -> None:
        """Makes a relation: a table where it is read more than once."""
        kind = "TABLE" if step.keeps else "VIEW"
        self._run(f"CREATE TEMP {kind} {step.name} AS\n{step.sql}")

    def make_pairs(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Makes a small relation of texts."""
        self.connection.execute(f"CREATE TEMP TABLE {name} ({', '.join(f'{each} VARCHAR' for each in columns)})")
        self.connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of something small."""
        return self._run(sql).fetchall()

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self.connection.execute(sql)
        except duckdb.Error as error:
            raise _unfit(error) from None

    def source(self, table: Table, thing: Any, names: Mapping[str, str]) -> Source:
        """A table as it was given. Raises UnfitError for what can't be read, or lacks a required column."""
        relation = self._relation(table, thing)
        there = {row[0]: row[1] for row in self.rows(f"DESCRIBE SELECT * FROM {relation}")}
        return Source(
            table, relation, matched(table, {name: _given(name, kind) for name, kind in there.items()}, names)
        )

    def _relation(self, table: Table, thing: Any) -> str:
        if isinstance(thing, Files):
            pattern = thing.pattern.replace("'", "''")
            if thing.format == CSV:
                return f"read_csv('{pattern}', header = true, all_varchar = true, union_by_name = true)"
            return f"read_parquet('{pattern}', union_by_name = true)"
        name = f"given_{table.name}"
        try:
            self.connection.register(name, thing)
        except (duckdb.Error, TypeError, ValueError):
            raise UnfitError(
                f"{table.name}: give a path, a pandas or Polars frame, or an Arrow table, not a {type(thing).__name__}."
            ) from None
        return name

    def table(self, select: str) -> Any:
        """The values as an Arrow table, by profile and instant."""
        try:
            return self.connection.sql(f"{select}\nORDER BY value.k").to_arrow_table()
        except duckdb.Error as error:
            raise _unfit(error) from None

    def write(self, select: str, path: Path) -> None:
        """Writes values to one file: Parquet or CSV by its name."""
        self._run(output.copy(select, path))


def _given(name: str, kind: str) -> Given:
    quoted = '"' + name.replace('"', '""') + '"'
    bare = kind.split("(")[0]
    if kind.endswith("]") or bare in ("STRUCT", "MAP"):
        return Given(quoted, Family.NESTED)
    if bare == "DECIMAL":
        return Given(quoted, Family.DECIMAL, int(kind.split(",")[1].strip(" )")))
    if bare in ("VARCHAR", "UUID", "ENUM", "JSON"):
        return Given(quoted if bare == "VARCHAR" else f"CAST({quoted} AS VARCHAR)", Family.TEXT)
    if bare in _INTEGERS:
        return Given(quoted, Family.INTEGER)
    if bare in _TIMES:
        return Given(f"CAST({quoted} AS TIMESTAMP)", Family.LOCAL)
    families = {
        "DOUBLE": Family.FLOAT,
        "FLOAT": Family.FLOAT,
        "BOOLEAN": Family.BOOLEAN,
        "TIMESTAMP WITH TIME ZONE": Family.INSTANT,
        "DATE": Family.DATE,
    }
    return Given(quoted, families.get(bare, Family.OTHER))


def _unfit(error: duckdb.Error) -> Exception:
    """What is the caller's to mend, in a sentence; any other error as it is."""
    first = str(error).partition("\n")[0].strip().rstrip(".")
    if isinstance(error, duckdb.OutOfRangeException):
        return UnfitError(f"amounts are too large to be exact: {first}.")
    if isinstance(error, duckdb.IOException | duckdb.InvalidInputException | duckdb.HTTPException):
        return UnfitError(f"a file can't be read: {first}.")
    return error
