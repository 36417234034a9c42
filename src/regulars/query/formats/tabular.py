"""Renders the result of a report as JSON, CSV or a table, for each result type."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from regulars.core import formulas
from regulars.query.compiler.groups import group_labels
from regulars.query.compiler.records import shown_fields
from regulars.query.query import ReportQuery
from regulars.reports.report import ReportFormat

ReportResult = Mapping[str, Any]
Row = Sequence[Any]

_encoder = msgspec.json.Encoder(decimal_format="number")


def to_json(result: ReportResult) -> str:
    """Renders a result as indented JSON, as the API returns it."""
    return msgspec.json.format(_encoder.encode(result), indent=2).decode() + "\n"


def header_of(query: ReportQuery) -> list[str]:
    """The columns of the records or statistics of a query."""
    report = query.report
    if report.format is ReportFormat.RECORDS and report.key and query.aggregate_by is None:
        return [each.name for each in shown_fields(report)]
    return [*(each.key for each in group_labels(query)), *(each.name for each in query.measures)]


def to_csv(result: ReportResult, columns: Sequence[str] = ()) -> str:
    """Renders a result as RFC 4180 with a header, one line for each record or value of a timeseries.

    Arrays and objects are JSON, null is empty. A string that a spreadsheet would take for a formula gets a leading
    apostrophe. `columns` are the header of a result without rows.
    """
    header, rows = to_table(result)
    header = header or list(columns)
    buffer = io.StringIO()
    # The default line terminator of csv is that of RFC 4180.
    writer = csv.writer(buffer)
    writer.writerow(header)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _csv_cell(value: object) -> str:
    return formulas.neutralize(value) if isinstance(value, str) else cell_text(value)


def cell_text(value: object) -> str:
    """Renders a value as a cell: null is empty, arrays and objects are JSON."""
    if value is None:
        return ""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def to_table(result: ReportResult) -> tuple[list[str], Iterator[Row] | list[Row]]:
    """The header and rows of a result, one row for each record, group or value."""
    if result["result_type"] == "records":
        return _objects_to_table(result["records"])
    if result["result_type"] == "statistics":
        return _objects_to_table([_flatten(each) for each in result["statistics"]])
    labels = list(dict.fromkeys(key for each in result["series"] for key in each["label"]))

    def values() -> Iterator[Row]:
        for each in result["series"]:
            label = [each["label"].get(key) for key in labels]
            zone = each.get("timezone", result["range_timezone"])
            for bucket, value in zip(result["time_buckets"], each["values"], strict=True):
                if value is not None:
                    yield [bucket, zone, *label, value]

    return ["bucket", "timezone", *labels, "value"], values()


def _flatten(group: Mapping[str, Any]) -> dict[str, Any]:
    """The label and the values of a group side by side, and its mark if it is suppressed, as a record has them."""
    mark = {"masked": True} if "masked" in group else {}
    return {**group["label"], **group["values"], **mark}


def _objects_to_table(objects: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Row]]:
    keys = list(dict.fromkeys(key for each in objects for key in each))
    return keys, [[each.get(key) for key in keys] for each in objects]
