"""Writes values to files, with the same CSV format for all engines."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from regulars.aggregations.aggregation import Aggregation
from regulars.core.field_type import FieldType

_ORDER = "ORDER BY profile_id, calculated_at"


def parquet_to_csv(pattern: str, path: Path, shown: Sequence[Aggregation]) -> None:
    """Merges values in Parquet files into one CSV file."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(copy_statement(f"SELECT * FROM read_parquet('{_quoted(pattern)}')", path, shown))


def copy_statement(select: str, path: Path, shown: Sequence[Aggregation]) -> str:
    """COPY statement of DuckDB that writes values to a file, ordered by profile and instant; format by extension."""
    if path.suffix == ".parquet":
        # Ordinals have the same order and are faster to compare.
        return f"COPY ({select}\nORDER BY value.k) TO '{_quoted(str(path))}' (FORMAT parquet, COMPRESSION zstd)"
    columns = ", ".join(f"{_text(each)} AS {each.name}" for each in shown)
    return (
        f"COPY (SELECT {columns} FROM ({select}) AS value {_ORDER}) TO '{_quoted(str(path))}' (FORMAT csv, HEADER true)"
    )


def _text(of: Aggregation) -> str:
    """A value in CSV: timestamps in the format of the API, lists as JSON."""
    column = f"value.{of.name}"
    if of.type in (FieldType.TIMESTAMP, FieldType.AS_OF):
        return f"strftime(timezone('UTC', {column}), '%Y-%m-%d %H:%M:%S')"
    return f"to_json({column})" if of.type in (FieldType.LOCATION_LIST, FieldType.STRING_LIST) else column


def _quoted(text: str) -> str:
    return text.replace("'", "''")
