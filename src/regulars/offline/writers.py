"""Writes values and reports to files. Values have the same CSV format on all engines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet

from regulars.aggregations.aggregation import Aggregation
from regulars.core.field_type import FieldType
from regulars.offline import atomic_output
from regulars.query.formats import tabular

_REPORT_EXTENSIONS = (".json", ".csv", ".parquet")
_ORDER = "ORDER BY profile_id, calculated_at"


def parquet_to_csv(pattern: str, path: Path, aggregations: Sequence[Aggregation]) -> None:
    """Merges values in Parquet files into one CSV file."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(copy_statement(f"SELECT * FROM read_parquet('{_quoted(pattern)}')", path, aggregations))


def copy_statement(select: str, path: Path, aggregations: Sequence[Aggregation]) -> str:
    """COPY statement of DuckDB that writes values to a file, ordered by profile and instant; format by extension."""
    if path.suffix == ".parquet":
        # Ordinals have the same order and are faster to compare.
        return f"COPY ({select}\nORDER BY value.k) TO '{_quoted(str(path))}' (FORMAT parquet, COMPRESSION zstd)"
    columns = ", ".join(f"{_csv_value(each)} AS {each.name}" for each in aggregations)
    return (
        f"COPY (SELECT {columns} FROM ({select}) AS value {_ORDER}) TO '{_quoted(str(path))}' (FORMAT csv, HEADER true)"
    )


def _csv_value(aggregation: Aggregation) -> str:
    """A value in CSV: timestamps in the format of the API, lists as JSON."""
    column = f"value.{aggregation.name}"
    if aggregation.type in (FieldType.TIMESTAMP, FieldType.AS_OF):
        return f"strftime(timezone('UTC', {column}), '%Y-%m-%d %H:%M:%S')"
    return f"to_json({column})" if aggregation.type in (FieldType.LOCATION_LIST, FieldType.STRING_LIST) else column


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def resolve_report_output(output: str | Path) -> str:
    """An output as a path or URL. Raises InputNotFoundError if it can't be written."""
    return atomic_output.resolve_output(output, may_be_folder=False, endings=_REPORT_EXTENSIONS)


def write_report(result: Mapping[str, Any], path: str) -> None:
    """Writes a result: as the API returns it (.json), or as a table with a row for each record, group or value."""
    with atomic_output.atomic_replace(path) as temporary:
        if path.endswith(".parquet"):
            pyarrow.parquet.write_table(_report_table(result), temporary, compression="zstd")
        else:
            text = tabular.to_json(result) if path.endswith(".json") else tabular.to_csv(result)
            temporary.write_text(text, newline="")


def _report_table(result: Mapping[str, Any]) -> pa.Table:
    header, rows = tabular.to_table(result)
    columns: list[list[Any]] = [[] for _ in header]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(_scalar(value))
    return pa.table(dict(zip(header, columns, strict=True)))


def _scalar(value: Any) -> Any:
    """Converts objects to JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | msgspec.Raw) else value
