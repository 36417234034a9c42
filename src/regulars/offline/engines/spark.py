"""Spark engine: values from a lake, on a cluster. Needs `pip install 'regulars[spark]'`."""

import math
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
from regulars.core.errors import MissingDependencyError
from regulars.offline import atomic_output, frames, spark_files, writers
from regulars.offline.casting import SPARK_DIALECT, InputColumn, TypeFamily
from regulars.offline.errors import InvalidInputError
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

_ERRORS = (PySparkException, Py4JJavaError)

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # Files in Windows-1252 and the like; otherwise only ISO 8859-1 and Unicode are allowed.
    "spark.sql.legacy.javaCharsets": "true",
    # Overflow is an error, not null.
    "spark.sql.ansi.enabled": "true",
    # Splits the tasks of profiles with very many purchases.
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.skewJoin.enabled": "true",
    # Otherwise the driver would read local tables row by row with every plan.
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.ConvertToLocalRelation",
}

SMALL_BYTES = 16 * 2**20
"""If the rows of each input table take fewer bytes by Spark's estimate, all is computed in one partition.

Then nothing is exchanged and no plan is changed while it runs, which takes longer than a core needs for such rows.
"""

_EXPANSION = 8
"""Bytes of rows by bytes of files that are compressed."""

_NODES_WITH_KNOWN_SIZES = {"LogicalRelation", "LocalRelation", "Project", "Filter"}
"""Nodes of a caller's plan that read no more bytes and return no more than Spark estimates.

Others may read more than they return, such as a sample, or return more than they read, such as an explosion.
"""

_SMALL_SETTINGS = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    # Only single rows, such as the club, which every row is joined with.
    "spark.sql.autoBroadcastJoinThreshold": "1k",
}

# By ICU, the first change of a text's case takes 2 seconds. Java's own mapping depends on the language of the process in
# these languages.
_LANGUAGES_WITH_OWN_CASES = ("tr", "az", "lt")
_WITHOUT_ICU = {"spark.sql.icu.caseMappings.enabled": "false"}

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
    """Runs plan steps in its own session, so that views and settings of the caller are not changed.

    Work is partitioned by profile; only countries and errors are collected in the driver.
    """

    dialect = SPARK_DIALECT

    def __init__(self, session: Any = None, master: str | None = None) -> None:
        found = session or SparkSession.getActiveSession() or _start_session(master)
        self._session = found.newSession()
        self._set(_SETTINGS)
        context = self._session.sparkContext
        # Where the driver is the only executor, no rows can be lost but all.
        self._is_local = bool(context._jsc.sc().isLocal())
        jvm: Any = context._jvm
        language = jvm.java.util.Locale.getDefault().getLanguage()
        has_own_cases = not self._is_local or language in _LANGUAGES_WITH_OWN_CASES
        self._small_settings = _SMALL_SETTINGS if has_own_cases else _SMALL_SETTINGS | _WITHOUT_ICU
        self._large_settings = {each: str(self._session.conf.get(each)) for each in self._small_settings}
        self._is_small = True
        self._persisted: list[DataFrame] = []
        self._checkpointed: list[DataFrame] = []
        self._inputs: dict[str, DataFrame] = {}

    def _set(self, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            self._session.conf.set(name, value)

    def number_rows(self, relation: str) -> str:
        """A relation with `row_number`, which increases within each file."""
        return f"(SELECT *, monotonically_increasing_id() AS row_number FROM {relation})"

    def is_small(self, relation: str) -> bool:
        """False: storing rows is a job of its own, which takes longer than planning."""
        return False

    def create(self, step: PlanStep) -> None:
        """Creates a relation, persisted on the executors' disks if it is materialized."""
        found = self._sql(step.sql)
        if step.is_materialized:
            found = self._materialized(found)
        found.createOrReplaceTempView(step.name)

    def _materialized(self, found: DataFrame) -> DataFrame:
        if self._is_small and self._is_local:
            # Rows as they are: reading them from the cached columns takes longer than computing them.
            try:
                rows = found.coalesce(1).localCheckpoint(eager=False)
            except _ERRORS as error:
                raise spark_files.to_input_error(error) from None
            self._checkpointed.append(rows)
            return rows
        found = found.persist(StorageLevel.MEMORY_AND_DISK)
        self._persisted.append(found)
        rows = self._without_lineage(found)
        return rows.coalesce(1) if self._is_small else rows

    def _without_lineage(self, found: DataFrame) -> DataFrame:
        """A relation without its lineage of logical plans; lost rows are recomputed.

        Otherwise Spark analyses the complete plan with every statement that reads it, which dominates with few rows.
        Spark's public methods for this lose partitions of failed executors, or deserialize every row.
        """
        try:
            plan = found._jdf.queryExecution()
            rows = self._session._jsparkSession.internalCreateDataFrame(plan.toRdd(), found._jdf.schema(), False)
        except _ERRORS as error:
            raise spark_files.to_input_error(error) from None
        return DataFrame(rows, self._session)

    def create_lookup(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Creates a small table of strings."""
        # From an Arrow table, because Python rows would start a Python process on every executor.
        table = pa.table({each: [row[index] for row in rows] for index, each in enumerate(columns)})
        lookup = self._session.createDataFrame(table)
        (lookup.coalesce(1) if self._is_small else lookup).createOrReplaceTempView(name)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        try:
            return [tuple(row) for row in self._sql(sql).collect()]
        except _ERRORS as error:
            raise spark_files.to_input_error(error) from None

    def execute(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a report's statement with positional parameters, collected in the driver."""
        self._session.conf.set("spark.sql.ansi.doubleQuotedIdentifiers", "true")
        named = {f"p{position}": value for position, value in enumerate(values, 1)}
        try:
            found = self._session.sql(_to_spark_sql(statement, values), args=named).toArrow()
        except _ERRORS as error:
            raise spark_files.to_input_error(error) from None
        finally:
            self._session.conf.set("spark.sql.ansi.doubleQuotedIdentifiers", "false")
            self._drop_input_views()
        columns = [column.to_pylist() for column in found.columns]
        return list(zip(*columns, strict=True))

    def _sql(self, sql: str) -> DataFrame:
        try:
            return self._session.sql(sql)
        except AnalysisException as error:
            raise spark_files.to_input_error(error) from None

    def register(self, table: TableSpec, value: Any, names: Mapping[str, str]) -> InputTable:
        """Registers an input table. Raises InvalidInputError if it can't be read or lacks a required column."""
        frame = self._frame(table, value)
        name = f"regulars_{table.name}_{uuid.uuid4().hex}"
        self._inputs[name] = frame
        if self._is_small and _bytes_of_rows(frame, value) < SMALL_BYTES:
            self._set(self._small_settings)
            # This concatenates partitions in their order.
            frame.coalesce(1).createGlobalTempView(name)
        elif self._is_small:
            self._is_small = False
            self._set(self._large_settings)
            for each, registered in self._inputs.items():
                registered.createOrReplaceGlobalTempView(each)
        else:
            frame.createGlobalTempView(name)
        available = {column: _input_column(column, data_type) for column, data_type in frame.dtypes}
        if isinstance(value, InputFiles):
            spark_files.require_unique_columns(table, names, frame.columns)
        return InputTable(table, f"global_temp.{name}", match_columns(table, available, names))

    def _frame(self, table: TableSpec, value: Any) -> Any:
        if isinstance(value, InputFiles):
            reader = self._session.read
            # Spark searches folders recursively by an option, not by a pattern.
            path = value.pattern.partition("/**")[0]
            reader = reader.option("recursiveFileLookup", "true") if path != value.pattern else reader
            try:
                if value.format == CSV:
                    return spark_files.read_csv(table, reader, path, value)
                return reader.option("mergeSchema", "true").parquet(path)
            except _ERRORS as error:
                raise spark_files.to_input_error(error) from None
        if hasattr(value, "createGlobalTempView"):
            return value
        if hasattr(value, "to_arrow"):
            value = value.to_arrow()
        try:
            return self._session.createDataFrame(value)
        except (TypeError, ValueError, PySparkException):
            raise InvalidInputError(
                f"{table.name}: unsupported input of type {type(value).__name__}. "
                f"Allowed: a Spark DataFrame, {frames.ALLOWED}."
            ) from None

    def to_table(self, select: str) -> DataFrame:
        """The values as a lazy DataFrame."""
        found = self._sql(select)
        if self._is_small:
            # The caller may join them with many rows in this session.
            found = self._without_lineage(found)
            self._set(self._large_settings)
        self._drop_input_views()
        return found

    def _drop_input_views(self) -> None:
        # Relations created from them do not need their names any more.
        for name in self._inputs:
            self._session.catalog.dropGlobalTempView(name)
        self._inputs = {}

    def write(self, select: str, target: str, aggregations: Sequence[Aggregation]) -> None:
        """Writes values as a folder of Parquet files by the executors, or as one CSV file merged from such a folder."""
        try:
            if "://" in target:
                self._write_folder(select, target)
                return
            with atomic_output.atomic_replace(target) as path:
                if target.endswith(".csv"):
                    self._write_csv(select, path, aggregations)
                else:
                    self._write_folder(select, str(path))
        except _ERRORS as error:
            raise spark_files.to_input_error(error) from None
        finally:
            self._drop_input_views()
            self._free_rows()

    def _free_rows(self) -> None:
        for each in self._persisted:
            each.unpersist()
        for each in self._checkpointed:
            # A checkpoint has no public method for it.
            each._jdf.queryExecution().analyzed().rdd().unpersist(False)

    def _write_folder(self, select: str, target: str) -> None:
        self._sql(select).write.mode("overwrite").parquet(target)

    def _write_csv(self, select: str, path: Path, aggregations: Sequence[Aggregation]) -> None:
        folder = tempfile.mkdtemp(prefix=".regulars-", dir=path.resolve().parent)
        try:
            self._write_folder(select, folder)
            writers.parquet_to_csv(f"{folder}/*.parquet", path, aggregations)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _bytes_of_rows(frame: Any, value: Any) -> float:
    """Spark's estimate of the bytes of rows, from the sizes of files and the number of rows in memory; else infinite."""
    try:
        plan = frame._jdf.queryExecution().optimizedPlan()
        if frame is value and not _nodes(plan) <= _NODES_WITH_KNOWN_SIZES:
            return math.inf
        size = int(plan.stats().sizeInBytes())
    except _ERRORS as error:
        raise spark_files.to_input_error(error) from None
    is_compressed = value.is_compressed if isinstance(value, InputFiles) else frame is value
    return size * _EXPANSION if is_compressed else size


def _nodes(plan: Any) -> set[str]:
    """Names of the nodes of a plan."""
    children = plan.children()
    return {str(plan.nodeName())}.union(*(_nodes(children.apply(number)) for number in range(children.size())))


_TYPES = {"TEXT": "STRING", "TIMESTAMPTZ": "TIMESTAMP"}
_FUNCTION_NAMES = {"starts_with(": "startswith(", "strpos(": "instr("}


def _to_spark_sql(statement: str, values: Sequence[Any]) -> str:
    """Converts a compiled statement to named parameters of Spark; LIMIT must be a literal."""

    def typed(match: re.Match[str]) -> str:
        type_, list_ = match[2], match[3]
        type_ = _TYPES.get(type_, type_)
        return f"CAST(:p{match[1]} AS {f'ARRAY<{type_}>' if list_ else type_})"

    statement = re.sub(
        r"LIMIT CAST\(\$(\d+) AS BIGINT\)", lambda limit: f"LIMIT {values[int(limit[1]) - 1]}", statement
    )
    statement = re.sub(r"CAST\(\$(\d+) AS ([A-Z]+(?:\([^)]*\))?)(\[\])?\)", typed, statement)
    for name, spark_name in _FUNCTION_NAMES.items():
        statement = statement.replace(name, spark_name)
    return statement


def _start_session(master: str | None) -> SparkSession:
    builder = SparkSession.builder.appName("regulars").config("spark.ui.showConsoleProgress", "false")
    if master is None or master.startswith("local["):
        # The default of 200 partitions is for clusters; on one machine most would be empty.
        builder = builder.config("spark.sql.shuffle.partitions", str(2 * (os.cpu_count() or 4)))
    session: SparkSession = builder.master(master or "local[*]").getOrCreate()
    return session


def _input_column(name: str, data_type: str) -> InputColumn:
    quoted = spark_files.quoted(name)
    if data_type.startswith("decimal"):
        return InputColumn(quoted, TypeFamily.DECIMAL, int(data_type.split(",")[1].strip(" )")))
    if data_type.startswith("array"):
        return InputColumn(quoted, TypeFamily.LIST)
    if data_type.startswith(("struct", "map")):
        return InputColumn(quoted, TypeFamily.OBJECT)
    return InputColumn(quoted, _FAMILIES.get(data_type, TypeFamily.OTHER))
