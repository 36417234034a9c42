"""An answer of a report as text or as a table of rows, whatever its format."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

ReportResult = Mapping[str, Any]
Row = Sequence[Any]

_encoder = msgspec.json.Encoder(decimal_format="number")


def to_json(answer: ReportResult) -> str:
    """The answer as the API gives it, laid out."""
    return msgspec.json.format(_encoder.encode(answer), indent=2).decode() + "\n"


def to_csv(answer: ReportResult) -> str:
    """RFC 4180 with a header: a line a record; of a timeseries a line a value, with its bucket, zone and labels.

    Arrays and objects are JSON, null is empty.
    """
    header, rows = to_table(answer)
    written = io.StringIO()
    # The module's own line ends are RFC 4180's.
    writer = csv.writer(written)
    writer.writerow(header)
    writer.writerows([cell_text(value) for value in row] for row in rows)
    return written.getvalue()


def cell_text(value: object) -> str:
    """A value as a cell: null is empty, arrays and objects are JSON."""
    if value is None:
        return ""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def to_table(answer: ReportResult) -> tuple[list[str], Iterator[Row] | list[Row]]:
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


def _of_objects(objects: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Row]]:
    keys = list(dict.fromkeys(key for each in objects for key in each))
    return keys, [[each.get(key) for key in keys] for each in objects]
