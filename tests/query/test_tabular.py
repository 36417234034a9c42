"""Results rendered as JSON, CSV and tables."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import msgspec

from regulars.query.formats.tabular import to_csv, to_json, to_table

RECORDS = {
    "records": [
        {"name": "Åse, 1", "spent": Decimal("1.50"), "tags": ["é"], "properties": msgspec.Raw(b'{"a": 1}')},
        {"name": None, "spent": None, "tags": [], "is_good": True},
    ],
    "result_type": "records",
}
STATISTICS = {
    "statistics": [{"label": {"channel": "sms"}, "values": {"opened": 2}}, {"label": {}, "values": {"opened": 1}}],
    "result_type": "statistics",
}
TIMESERIES = {
    "range_timezone": "local",
    "time_buckets": ["2026-11-01T00:00:00.000", "2026-11-02T00:00:00.000"],
    "series": [
        {"timezone": "Europe/Oslo", "label": {"type": "in"}, "values": [1, None]},
        {"label": {"type": "out", "community_id": 7}, "values": [None, 2]},
    ],
    "result_type": "timeseries",
}


def test_csv_has_a_line_for_each_record_with_json_for_arrays_and_objects() -> None:
    assert to_csv(RECORDS).splitlines() == [
        "name,spent,tags,properties,is_good",
        '"Åse, 1",1.50,"[""é""]","{""a"": 1}",',
        ",,[],,true",
    ]


def test_a_string_in_csv_is_no_formula_for_a_spreadsheet() -> None:
    records = [
        {"host": "=1+1", "tag": "a=b", "value": -1, "tags": ["=1"]},
        {"host": "@SUM(1)", "tag": "\tx", "value": Decimal("-1.5"), "tags": None},
        {"host": "+1", "tag": "-14", "value": None, "tags": None},
        {"host": "\r=1", "tag": "", "value": None, "tags": None},
    ]
    text = to_csv({"records": records, "result_type": "records"})
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["host", "tag", "value", "tags"],
        ["'=1+1", "a=b", "-1", '["=1"]'],
        ["'@SUM(1)", "'\tx", "-1.5", ""],
        ["'+1", "'-14", "", ""],
        ["'\r=1", "", "", ""],
    ]
    label = {"utm_source": '=HYPERLINK("http://x")'}
    series = TIMESERIES | {"series": [{"label": label, "values": [1, None]}]}
    assert to_csv(series).splitlines()[1] == """2026-11-01T00:00:00.000,local,"'=HYPERLINK(""http://x"")",1"""
    assert list(to_table(series)[1]) == [["2026-11-01T00:00:00.000", "local", label["utm_source"], 1]]


def test_a_table_of_statistics_has_a_row_for_each_group() -> None:
    assert to_table(STATISTICS) == (["channel", "opened"], [["sms", 2], [None, 1]])
    hidden = {"label": {"channel": "push"}, "values": {"opened": None}, "masked": True}
    header, rows = to_table({**STATISTICS, "statistics": [*STATISTICS["statistics"][:1], hidden]})
    assert (header, rows) == (["channel", "opened", "masked"], [["sms", 2, None], ["push", None, True]])


def test_a_table_of_a_timeseries_has_a_row_for_each_value() -> None:
    header, rows = to_table(TIMESERIES)
    assert header == ["bucket", "timezone", "type", "community_id", "value"]
    assert list(rows) == [
        ["2026-11-01T00:00:00.000", "Europe/Oslo", "in", None, 1],
        ["2026-11-02T00:00:00.000", "local", "out", 7, 2],
    ]


def test_json_keeps_decimals_as_numbers() -> None:
    assert (
        to_json({"records": [{"spent": Decimal("1.50")}]})
        == '{\n  "records": [\n    {\n      "spent": 1.50\n    }\n  ]\n}\n'
    )
