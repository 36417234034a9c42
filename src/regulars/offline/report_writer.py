"""The answer of a report as a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet

from regulars.offline import atomic_output
from regulars.query.formats import tabular

_ENDINGS = (".json", ".csv", ".parquet")


def resolve_report_output(output: str | Path) -> str:
    """An output as a path or a URL. Raises InputNotFoundError for one that can't be written to."""
    return atomic_output.resolve_output(output, may_be_folder=False, endings=_ENDINGS)


def write_report(answer: Mapping[str, Any], path: str) -> None:
    """Writes an answer: as the API gives it, or a row a record, a group or a value."""
    with atomic_output.atomic_replace(path) as beside:
        if path.endswith(".parquet"):
            pyarrow.parquet.write_table(_table(answer), beside, compression="zstd")
        else:
            text = tabular.to_json(answer) if path.endswith(".json") else tabular.to_csv(answer)
            beside.write_text(text, newline="")


def _table(answer: Mapping[str, Any]) -> pa.Table:
    header, rows = tabular.to_table(answer)
    columns: list[list[Any]] = [[] for _ in header]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(_plain(value))
    return pa.table(dict(zip(header, columns, strict=True)))


def _plain(value: Any) -> Any:
    """Objects as their JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | msgspec.Raw) else value
