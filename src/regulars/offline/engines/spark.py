"""Spark: values over a lake, on as many machines as there are. Needs `pip install 'regulars[spark]'`."""

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from regulars.aggregations.aggregation import Aggregation
from regulars.offline import atomic_output, writers
from regulars.offline.casting import SPARK_DIALECT, InputColumn, TypeFamily
from regulars.offline.errors import InvalidInputError, MissingDependencyError
from regulars.offline.inputs import CSV, InputFiles, match_columns
from regulars.offline.schema import TableSpec
from regulars.offline.structures import InputTable, PlanStep

try:
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import AnalysisException, PySparkException
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.storagelevel import StorageLevel
except ImportError:
    raise MissingDependencyError(
        "Spark is not installed: pip install 'regulars[spark]'; it needs Java 17 or later."
    ) from None

_FAILED = (PySparkException, Py4JJavaError)

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # What is too large is an error, not null.
    "spark.sql.ansi.enabled": "true",
    # Splits what one profile with very many purchases would make one task of.
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.skewJoin.enabled": "true",
    # A table that was handed over would be read by the driver, row by row, with every plan that it stands in.
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.ConvertToLocalRelation",
}

_FAMILIES = {
    "tinyint": TypeFamily.INTEGER,
    "smallint": TypeFamily.INTEGER,
    "int": TypeFamily.INTEGER,
    "bigint": TypeFamily.INTEGER,
    "float": TypeFamily.FLOAT,
    "double": TypeFamily.FLOAT,
    "string": TypeFamily.TEXT,
    "boolean": TypeFamily.BOOLEAN,
    "timestamp": TypeFamily.TIMESTAMP,
    "timestamp_ntz": TypeFamily.LOCAL_TIME,
    "date": TypeFamily.DATE,
}


class SparkEngine:
    """Runs steps in a session of its own, so that neither views nor settings of the caller's are touched.

    Work is split by profile; nothing but the countries and what is wrong comes to the driver.
    """

    dialect = SPARK_DIALECT

    def __init__(self, session: Any = None, master: str | None = None) -> None:
        found = session or SparkSession.getActiveSession() or _started(master)
        self._session = found.newSession()
        for name, value in _SETTINGS.items():
            self._session.conf.set(name, value)
        self._kept: list[DataFrame] = []
        self._given: list[str] = []

    def make(self, step: PlanStep) -> None:
        """Makes a relation, kept on the executors' disks where it is read more than once."""
        found = self._sql(step.sql)
        if step.is_materialized:
            found = found.persist(StorageLevel.MEMORY_AND_DISK)
            self._kept.append(found)
            found = self._as_rows(found)
        found.createOrReplaceTempView(step.name)

    def _as_rows(self, kept: DataFrame) -> DataFrame:
        """What is kept as bare rows, which are made again if they are lost.

        Else Spark would analyse all that they come from with every statement that reads them: most of its time where
        there are few rows. Its public ways to do so give up what is lost, or take every row apart.
        """
        try:
            plan = kept._jdf.queryExecution()
            rows = self._session._jsparkSession.internalCreateDataFrame(plan.toRdd(), kept._jdf.schema(), False)
        except PySparkException as error:
            raise _unfit(error) from None
        return DataFrame(rows, self._session)

    def make_pairs(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Makes a small relation of texts."""
        # From an Arrow table, for rows of Python's would have every executor start a Python of its own.
        table = pa.table({each: [row[at] for row in rows] for at, each in enumerate(columns)})
        self._session.createDataFrame(table).createOrReplaceTempView(name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of something small."""
        try:
            return [tuple(row) for row in self._sql(sql).collect()]
        except _FAILED as error:
            raise _unfit(error) from None

    def answer(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a report's statement with its values by place, all of them in the driver."""
        self._session.conf.set("spark.sql.ansi.doubleQuotedIdentifiers", "true")
        named = {f"p{place}": value for place, value in enumerate(values, 1)}
        try:
            found = self._session.sql(_in_spark(statement, values), args=named).toArrow()
        except _FAILED as error:
            raise _unfit(error) from None
        finally:
            self._session.conf.set("spark.sql.ansi.doubleQuotedIdentifiers", "false")
            self._forget_views()
        columns = [column.to_pylist() for column in found.columns]
        return list(zip(*columns, strict=True))

    def _sql(self, sql: str) -> DataFrame:
        try:
            return self._session.sql(sql)
        except AnalysisException as error:
            raise _unfit(error) from None

    def source(self, table: TableSpec, thing: Any, names: Mapping[str, str]) -> InputTable:
        """A table as it was given. Raises InvalidInputError for what can't be read, or lacks a required column."""
        frame = self._frame(table, thing)
        name = f"regulars_{table.name}_{uuid.uuid4().hex}"
        frame.createGlobalTempView(name)
        self._given.append(name)
        there = {column: _given(column, kind) for column, kind in frame.dtypes}
        return InputTable(table, f"global_temp.{name}", match_columns(table, there, names))

    def _frame(self, table: TableSpec, thing: Any) -> Any:
        if isinstance(thing, InputFiles):
            reader = self._session.read
            # Spark finds what lies below a folder by an option, not by a pattern.
            path = thing.pattern.partition("/**")[0]
            reader = reader.option("recursiveFileLookup", "true") if path != thing.pattern else reader
            try:
                if thing.format == CSV:
                    form = {"sep": thing.separator, "quote": '"', "escape": '"'}
                    return reader.csv(path, header=True, enforceSchema=False, **form)
                return reader.option("mergeSchema", "true").parquet(path)
            except _FAILED as error:
                raise _unfit(error) from None
        if hasattr(thing, "createGlobalTempView"):
            return thing
        if hasattr(thing, "to_arrow"):
            thing = thing.to_arrow()
        try:
            return self._session.createDataFrame(thing)
        except (TypeError, ValueError, PySparkException):
            raise InvalidInputError(
                f"{table.name}: give a path, a Spark DataFrame, a pandas or Polars frame, or an Arrow table, "
                f"not a {type(thing).__name__}."
            ) from None

    def table(self, select: str) -> DataFrame:
        """The values as a DataFrame, which is computed where it is used."""
        found = self._sql(select)
        self._forget_views()
        return found

    def _forget_views(self) -> None:
        # What was made of them knows them without their names.
        for name in self._given:
            self._session.catalog.dropGlobalTempView(name)
        self._given = []

    def write(self, select: str, place: str, shown: Sequence[Aggregation]) -> None:
        """Writes values: a folder of Parquet files by the executors, or one CSV file put together of such a folder."""
        try:
            if "://" in place:
                self._write_folder(select, place)
                return
            with atomic_output.atomic_replace(place) as path:
                if place.endswith(".csv"):
                    self._write_csv(select, path, shown)
                else:
                    self._write_folder(select, str(path))
        except _FAILED as error:
            raise _unfit(error) from None
        finally:
            self._forget_views()
            for each in self._kept:
                each.unpersist()

    def _write_folder(self, select: str, place: str) -> None:
        self._sql(select).write.mode("overwrite").parquet(place)

    def _write_csv(self, select: str, path: Path, shown: Sequence[Aggregation]) -> None:
        folder = tempfile.mkdtemp(prefix=".regulars-", dir=path.resolve().parent)
        try:
            self._write_folder(select, folder)
            writers.parquet_to_csv(f"{folder}/*.parquet", path, shown)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


_TYPES = {"TEXT": "STRING", "TIMESTAMPTZ": "TIMESTAMP"}
_WORDS = {"starts_with(": "startswith(", "strpos(": "instr("}


def _in_spark(statement: str, values: Sequence[Any]) -> str:
    """A compiled statement with parameters as Spark has them. A limit must be a number in the text."""

    def typed(match: re.Match[str]) -> str:
        type_, list_ = match[2], match[3]
        type_ = _TYPES.get(type_, type_)
        return f"CAST(:p{match[1]} AS {f'ARRAY<{type_}>' if list_ else type_})"

    statement = re.sub(
        r"LIMIT CAST\(\$(\d+) AS BIGINT\)", lambda limit: f"LIMIT {values[int(limit[1]) - 1]}", statement
    )
    statement = re.sub(r"CAST\(\$(\d+) AS ([A-Z]+(?:\([^)]*\))?)(\[\])?\)", typed, statement)
    for ours, theirs in _WORDS.items():
        statement = statement.replace(ours, theirs)
    return statement


def _started(master: str | None) -> SparkSession:
    builder = SparkSession.builder.appName("regulars").config("spark.ui.showConsoleProgress", "false")
    if master is None or master.startswith("local["):
        # Two hundred parts, the default, are for clusters: on one machine most would be empty.
        builder = builder.config("spark.sql.shuffle.partitions", str(2 * (os.cpu_count() or 4)))
    started: SparkSession = builder.master(master or "local[*]").getOrCreate()
    return started


def _given(name: str, kind: str) -> InputColumn:
    quoted = "`" + name.replace("`", "``") + "`"
    if kind.startswith("decimal"):
        return InputColumn(quoted, TypeFamily.DECIMAL, int(kind.split(",")[1].strip(" )")))
    if kind.startswith("array"):
        return InputColumn(quoted, TypeFamily.LIST)
    if kind.startswith(("struct", "map")):
        return InputColumn(quoted, TypeFamily.OBJECT)
    return InputColumn(quoted, _FAMILIES.get(kind, TypeFamily.OTHER))


def _unfit(error: Exception) -> InvalidInputError:
    if lacking := re.search(r'No FileSystem for scheme "\w+"|Class \S+FileSystem not found', str(error)):
        return InvalidInputError(
            f"Spark can't reach a URL: {lacking[0]}. It needs the jars of that store, and s3:// is s3a:// there: "
            f"docs/compute.md says how."
        )
    lines = [line.strip(" :") for line in str(error).splitlines() if not line.startswith("An error occurred while")]
    return InvalidInputError(f"Spark can't compute this: {lines[0].rstrip('.') if lines else type(error).__name__}.")
