"""Formats the result of a report for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from regulars.query.formats.tabular import ReportResult, Row, cell_text, to_csv, to_json, to_table

__all__ = ["as_table", "series_name", "to_csv", "to_json"]


def as_table(answer: ReportResult) -> str:
    """Formats a result as a table; of a time series each bucket is a row and each series a column."""
    header, rows = _wide(answer) if answer["result_type"] == "timeseries" else to_table(answer)
    rows = list(rows)
    if not rows:
        return "no rows\n"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        is_number = any(isinstance(row[index], int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell_text(value) for value in row))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        # Output that is not a terminal has no width limit.
        console.width = 1_000_000
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def _wide(answer: ReportResult) -> tuple[list[str], Iterator[Row]]:
    """Returns header and rows of a time series, with a column for each series."""
    header = ["bucket", *map(series_name, answer["series"])]
    return header, zip(answer["time_buckets"], *(each["values"] for each in answer["series"]), strict=True)


def series_name(series: Mapping[str, Any]) -> str:
    """Returns the display name of a series: its time zone, if it has one, and its labels."""
    zone = [series["timezone"]] if "timezone" in series else []
    named = ["-" if value is None else cell_text(value) for value in (*zone, *series["label"].values())]
    return " / ".join(named) or "value"
