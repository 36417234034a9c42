"""An answer of a report as it is printed: a table, JSON, CSV."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

Answer = Mapping[str, Any]
Row = Sequence[Any]

_encoder = msgspec.json.Encoder(decimal_format="number")


def as_json(answer: Answer) -> str:
    """The answer as the API gives it, laid out."""
    return msgspec.json.format(_encoder.encode(answer), indent=2).decode() + "\n"


def as_csv(answer: Answer) -> str:
    """RFC 4180 with a header: a line a record; of a timeseries a line a value, with its bucket, zone and labels.

    Arrays and objects are JSON, null is empty.
    """
    header, rows = _long(answer)
    written = io.StringIO()
    # The module's own line ends are RFC 4180's.
    writer = csv.writer(written)
    writer.writerow(header)
    writer.writerows([_text(value) for value in row] for row in rows)
    return written.getvalue()


def as_table(answer: Answer) -> str:
    """Columns for a terminal: of a timeseries a row a bucket, a column a series."""
    header, rows = _wide(answer) if answer["result_type"] == "timeseries" else _long(answer)
    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(header):
        is_number = any(isinstance(row[place], int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        # A file or another command has no width to fit into.
        console.width = 1_000_000
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _long(answer: Answer) -> tuple[list[str], Iterator[Row] | list[Row]]:
    """Header and rows, a row a record, a group or a value."""
    if answer["result_type"] == "records":
        return _of_objects(answer["records"])
    if answer["result_type"] == "statistics":
        return _of_objects([{**each["label"], **each["values"]} for each in answer["statistics"]])
    labels = list(dict.fromkeys(key for each in answer["series"] for key in each["label"]))

    def values() -> Iterator[Row]:
        for each in answer["series"]:
            named = [each["label"].get(key) for key in labels]
            zone = each.get("timezone", answer["range_timezone"])
            for bucket, value in zip(answer["time_buckets"], each["values"], strict=True):
                if value is not None:
                    yield [bucket, zone, *named, value]

    return ["bucket", "timezone", *labels, "value"], values()


def _wide(answer: Answer) -> tuple[list[str], Iterator[Row]]:
    """Header and rows of a timeseries, a column a series."""
    header = ["bucket", *map(series_name, answer["series"])]
    return header, zip(answer["time_buckets"], *(each["values"] for each in answer["series"]), strict=True)


def _of_objects(objects: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Row]]:
    keys = list(dict.fromkeys(key for each in objects for key in each))
    return keys, [[each.get(key) for key in keys] for each in objects]


def series_name(series: Mapping[str, Any]) -> str:
    """What a series is called: its zone, where it has one of its own, and what it is labelled with."""
    zone = [series["timezone"]] if "timezone" in series else []
    named = ["-" if value is None else _text(value) for value in (*zone, *series["label"].values())]
    return " / ".join(named) or "value"
