"""Writes the result of a report to a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet

from regulars.offline import atomic_output
from regulars.query.formats import tabular

_EXTENSIONS = (".json", ".csv", ".parquet")


def resolve_report_output(output: str | Path) -> str:
    """An output as a path or URL. Raises InputNotFoundError if it can't be written."""
    return atomic_output.resolve_output(output, may_be_folder=False, endings=_EXTENSIONS)


def write_report(result: Mapping[str, Any], path: str) -> None:
    """Writes a result: as the API returns it (.json), or as a table with a row for each record, group or value."""
    with atomic_output.atomic_replace(path) as temporary:
        if path.endswith(".parquet"):
            pyarrow.parquet.write_table(_table(result), temporary, compression="zstd")
        else:
            text = tabular.to_json(result) if path.endswith(".json") else tabular.to_csv(result)
            temporary.write_text(text, newline="")


def _table(result: Mapping[str, Any]) -> pa.Table:
    header, rows = tabular.to_table(result)
    columns: list[list[Any]] = [[] for _ in header]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(_scalar(value))
    return pa.table(dict(zip(header, columns, strict=True)))


def _scalar(value: Any) -> Any:
    """Converts objects to JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | msgspec.Raw) else value
