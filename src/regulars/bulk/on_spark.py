"""Spark: values over a lake, on as many machines as there are. Needs `pip install 'regulars[spark]'`."""

import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regulars.bulk import output
from regulars.bulk.given import CSV, Files, matched
from regulars.bulk.reading import SPARK_DIALECT, Family, Given
from regulars.bulk.refusals import MissingExtraError, UnfitError
from regulars.bulk.shape import Source, Step
from regulars.bulk.tables import Table

try:
    from pyspark.errors import AnalysisException, PySparkException
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.storagelevel import StorageLevel
except ImportError:
    raise MissingExtraError(
        "Spark is not installed: pip install 'regulars[spark]'; it needs Java 17 or later."
    ) from None

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # What is too large is an error, not null.
    "spark.sql.ansi.enabled": "true",
    # Splits what one profile with very many purchases would make one task of.
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.skewJoin.enabled": "true",
}

_FAMILIES = {
    "tinyint": Family.INTEGER,
    "smallint": Family.INTEGER,
    "int": Family.INTEGER,
    "bigint": Family.INTEGER,
    "float": Family.FLOAT,
    "double": Family.FLOAT,
    "string": Family.TEXT,
    "boolean": Family.BOOLEAN,
    "timestamp": Family.INSTANT,
    "timestamp_ntz": Family.LOCAL,
    "date": Family.DATE,
}


class OnSpark:
    """Runs steps in a session of its own, so that neither views nor settings of the caller's are touched.

    Work is split by profile; nothing but the countries and what is wrong comes to the driver.
    """

    dialect = SPARK_DIALECT
    numbers_profiles = False

    def __init__(self, session: Any = None, master: str | None = None) -> None:
        found = session or SparkSession.getActiveSession() or _started(master)
        self._session = found.newSession()
        for name, value in _SETTINGS.items():
            self._session.conf.set(name, value)
        self._kept: list[DataFrame] = []

    def make(self, step: Step) -> None:
        """Makes a relation, kept on the executors' disks where it is read more than once."""
        found = self._sql(step.sql)
        if step.keeps:
            found = found.persist(StorageLevel.MEMORY_AND_DISK)
            self._kept.append(found)
        found.createOrReplaceTempView(step.name)

    def make_pairs(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Makes a small relation of texts."""
        schema = ", ".join(f"{each} string" for each in columns)
        self._session.createDataFrame([tuple(row) for row in rows], schema).createOrReplaceTempView(name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of something small."""
        try:
            return [tuple(row) for row in self._sql(sql).collect()]
        except PySparkException as error:
            raise _unfit(error) from None

    def _sql(self, sql: str) -> DataFrame:
        try:
            return self._session.sql(sql)
        except AnalysisException as error:
            raise _unfit(error) from None

    def source(self, table: Table, thing: Any, names: Mapping[str, str]) -> Source:
        """A table as it was given. Raises UnfitError for what can't be read, or lacks a required column."""
        frame = self._frame(table, thing)
        name = f"regulars_{table.name}_{uuid.uuid4().hex}"
        frame.createGlobalTempView(name)
        there = {column: _given(column, kind) for column, kind in frame.dtypes}
        return Source(table, f"global_temp.{name}", matched(table, there, names))

    def _frame(self, table: Table, thing: Any) -> Any:
        if isinstance(thing, Files):
            reader = self._session.read
            # Spark finds what lies below a folder by an option, not by a pattern.
            path = thing.pattern.partition("/**")[0]
            reader = reader.option("recursiveFileLookup", "true") if path != thing.pattern else reader
            try:
                if thing.format == CSV:
                    return reader.csv(path, header=True, enforceSchema=False, quote='"', escape='"')
                return reader.option("mergeSchema", "true").parquet(path)
            except PySparkException as error:
                raise _unfit(error) from None
        if hasattr(thing, "createGlobalTempView"):
            return thing
        if hasattr(thing, "to_arrow"):
            thing = thing.to_arrow()
        try:
            return self._session.createDataFrame(thing)
        except (TypeError, ValueError, PySparkException):
            raise UnfitError(
                f"{table.name}: give a path, a Spark DataFrame, a pandas or Polars frame, or an Arrow table, "
                f"not a {type(thing).__name__}."
            ) from None

    def table(self, select: str) -> DataFrame:
        """The values as a DataFrame, which is computed where it is used."""
        return self._sql(select)

    def write(self, select: str, path: str | Path) -> None:
        """Writes values: a folder of Parquet files by the executors, or one CSV file put together of such a folder."""
        try:
            if str(path).endswith(".csv"):
                self._write_csv(select, Path(path))
            else:
                self._sql(select).write.mode("overwrite").parquet(str(path))
        except PySparkException as error:
            raise _unfit(error) from None
        finally:
            for each in self._kept:
                each.unpersist()

    def _write_csv(self, select: str, path: Path) -> None:
        folder = tempfile.mkdtemp(prefix=".regulars-", dir=path.resolve().parent)
        try:
            self._sql(select).write.mode("overwrite").parquet(folder)
            output.csv_of_parquet(f"{folder}/*.parquet", path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _started(master: str | None) -> SparkSession:
    builder = SparkSession.builder.appName("regulars").config("spark.ui.showConsoleProgress", "false")
    started: SparkSession = builder.master(master or "local[*]").getOrCreate()
    return started


def _given(name: str, kind: str) -> Given:
    quoted = "`" + name.replace("`", "``") + "`"
    if kind.startswith("decimal"):
        return Given(quoted, Family.DECIMAL, int(kind.split(",")[1].strip(" )")))
    if kind.startswith(("array", "struct", "map")):
        return Given(quoted, Family.NESTED)
    return Given(quoted, _FAMILIES.get(kind, Family.OTHER))


def _unfit(error: Exception) -> UnfitError:
    first = str(error).strip().partition("\n")[0].rstrip(".")
    return UnfitError(f"Spark can't compute this: {first}.")
