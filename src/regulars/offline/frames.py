"""Tables in memory: what is no table of an engine yet becomes an Arrow table."""

from typing import Any

import duckdb
import pyarrow as pa

_LAZY = ("polars", "narwhals")
_READ_BY_ENGINES = ("pandas", "polars", "pyspark", "pyarrow")

ALLOWED = (
    "a path, a pandas or Polars frame, a LazyFrame, a relation of DuckDB, an Arrow table, or anything with an Arrow "
    "stream (__arrow_c_stream__), such as a table of Ibis"
)
"""What an input may be."""


def materialize(value: Any) -> Any:
    """Collects lazy frames, and reads relations and Arrow streams into Arrow tables. Other values are returned as they are."""
    package = type(value).__module__.partition(".")[0]
    if package in _LAZY and type(value).__name__ == "LazyFrame":
        value = value.collect()
    if isinstance(value, duckdb.DuckDBPyRelation):
        # A relation belongs to a connection of its own.
        return value.to_arrow_table()
    if package not in _READ_BY_ENGINES and hasattr(value, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(value).read_all()
    return value
