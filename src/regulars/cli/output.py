"""An answer of a report as it is printed: a table, JSON, CSV."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from regulars.query.formats.tabular import ReportResult, Row, cell_text, to_csv, to_json, to_table

__all__ = ["as_table", "series_name", "to_csv", "to_json"]


def as_table(answer: ReportResult) -> str:
    """Columns for a terminal: of a timeseries a row a bucket, a column a series."""
    header, rows = _wide(answer) if answer["result_type"] == "timeseries" else to_table(answer)
    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(header):
        is_number = any(isinstance(row[place], int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell_text(value) for value in row))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        # A file or another command has no width to fit into.
        console.width = 1_000_000
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def _wide(answer: ReportResult) -> tuple[list[str], Iterator[Row]]:
    """Header and rows of a timeseries, a column a series."""
    header = ["bucket", *map(series_name, answer["series"])]
    return header, zip(answer["time_buckets"], *(each["values"] for each in answer["series"]), strict=True)


def series_name(series: Mapping[str, Any]) -> str:
    """What a series is called: its zone, where it has one of its own, and what it is labelled with."""
    zone = [series["timezone"]] if "timezone" in series else []
    named = ["-" if value is None else cell_text(value) for value in (*zone, *series["label"].values())]
    return " / ".join(named) or "value"
