"""`regulars query`: a report from the shell, in every form of an answer."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cli.conftest import Command
from query.sample_reports import REGISTRY
from regulars.cli import export, query
from regulars.cli.output import as_table, to_csv, to_json
from regulars.query import execute
from regulars.query.parser.request import parse_whole_query

RECORDS = {
    "records": [
        {"id": 1, "name": 'a "b", c\nd', "tags": ["x", "y"], "is_good": True, "points": None},
        {"id": 20, "name": "Łódź", "tags": [], "is_good": None, "points": 7},
    ],
    "pagination": {"next_page_info": None},
    "result_type": "records",
}
TIMESERIES: dict[str, Any] = {
    "interval": "1d",
    "range_timezone": "Europe/Oslo",
    "time_buckets": ["2026-11-23T00:00:00.000+01:00", "2026-11-24T00:00:00.000+01:00"],
    "series": [
        {"label": {"type": "out", "platform": None}, "values": [1, None]},
        {"label": {"type": "</script>", "platform": "ios"}, "values": [2, 3]},
    ],
    "data_points": 3,
    "result_type": "timeseries",
}
STATISTICS = {
    "statistics": [{"label": {"channel": "sms"}, "values": {"delivered": 10, "rate": 0.5}}],
    "from": "2026-11-23T00:00:00",
    "to": "2026-11-24T00:00:00",
    "result_type": "statistics",
}


@pytest.fixture(autouse=True)
def _reports_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (query, export):
        monkeypatch.setattr(module, "REPORTS_BY_NAME", REGISTRY)


@pytest.fixture
def rows(command: Command, slug: str, tmp_path: Path) -> str:
    """A community with two members of a size."""
    lines = [
        {"external_id": f"M{number}", "properties": {"id": number, "name": f"M{number}", "size": "small"}}
        for number in (1, 2)
    ]
    (tmp_path / "members.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = command("load", "profiles", "members.ndjson", "--community", slug)
    assert done.code == 0, done.err
    return slug


COUNTED = '{"report": "samples_count", "aggregate_by": "by_size"}'


def test_a_report_is_a_table_json_or_csv(command: Command, rows: str) -> None:
    done = command("query", COUNTED, "--customer", rows)
    assert (done.code, done.err) == (0, "")
    assert [line.split() for line in done.out.splitlines() if line.strip(" ─")] == [["size", "count"], ["small", "2"]]
    done = command("query", COUNTED, "--customer", rows, "-o", "json")
    assert json.loads(done.out)["records"] == [{"size": "small", "count": 2}]
    assert command("query", COUNTED, "--customer", rows, "-o", "csv").out.splitlines() == ["size,count", "small,2"]


def test_the_bare_name_of_a_report_is_a_request_about_the_last_30_days(command: Command, rows: str) -> None:
    done = command("query", "samples_count", "--customer", rows, "-o", "json")
    assert [each["count"] for each in json.loads(done.out)["records"]] == [2]
    result = json.loads(command("query", "samples_history", "--customer", rows, "-o", "json").out)
    assert (result["interval"], result["range_timezone"]) == ("1d", "Europe/Oslo")
    body = '{"report": "samples_stats"}'
    result = json.loads(command("query", body, "--last", "2w", "--customer", rows, "-o", "json").out)
    start, end = (datetime.fromisoformat(result[name]) for name in ("from", "to"))
    assert (end - start, start.weekday(), start.hour) == (timedelta(days=14), 0, 0)


def test_the_range_of_all_rows_is_in_the_time_zone_of_the_customers(
    command: Command, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[dict[str, Any]] = []

    def parse(params: dict[str, Any], *others: Any) -> Any:
        requested.append(params)
        return parse_whole_query(params, *others)

    monkeypatch.setattr(export, "parse_whole_query", parse)
    assert command("query", "samples_history", "--last", "1mo", "--customer", rows, "--all").code == 0
    start = datetime.fromisoformat(requested[0]["from"])
    assert start == start.replace(tzinfo=ZoneInfo("Europe/Oslo"))
    assert (start.day, start.hour) == (1, 0)


def test_a_file_has_all_rows_and_a_table_the_first_of_them(
    command: Command, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "TABLE_ROWS", 1)
    monkeypatch.setattr(query, "MAX_LIMIT", 1)
    done = command("query", "samples", "--customer", rows)
    assert done.out.splitlines()[-1] == "1 of 2 rows; -o csv writes all."
    assert sum("M" in line for line in done.out.splitlines()) == 1
    result = json.loads(command("query", "samples", "--customer", rows, "-o", "json").out)
    assert [each["name"] for each in result["records"]] == ["M1", "M2"]
    assert result["pagination"] == {"next_page_info": None}
    assert len(command("query", "samples", "--customer", rows, "-o", "csv").out.splitlines()) == 3


def test_a_result_without_rows_is_a_header_or_says_so(command: Command, rows: str) -> None:
    none = ('{"report": "samples", "filter": {"type": "equal", "field": "name", "value": "none"}', rows)
    for body in (f"{none[0]}}}", f'{none[0]}, "limit": 5}}'):
        assert command("query", body, "--customer", rows).out == "no rows\n"
        lines = command("query", body, "--customer", rows, "-o", "csv").out.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("community_id,loyalty_club_id,id,name,")
    empty = '{"report": "samples_stats", "aggregate_by": "size", "from": "2020-01-01", "to": "2020-01-02"}'
    assert command("query", empty, "--customer", rows, "-o", "csv").out.splitlines() == [
        "size,count,spent_total,average"
    ]
    assert command("query", empty, "--customer", rows).out == "no rows\n"


def test_the_cursor_of_the_next_page_is_printed(command: Command, rows: str) -> None:
    done = command("query", '{"report": "samples", "limit": 1}', "--customer", rows, "-o", "csv")
    assert len(done.out.splitlines()) == 2
    assert 'For the next page add "page_info": "' in done.err
    cursor = done.err.split('"')[3]
    body = json.dumps({"report": "samples", "limit": 1, "page_info": cursor})
    done = command("query", body, "--customer", rows, "-o", "json")
    assert [each["name"] for each in json.loads(done.out)["records"]] == ["M2"]


def test_a_query_covers_all_customers_unless_one_is_selected(command: Command, rows: str) -> None:
    records = [
        json.loads(command("query", '{"report": "samples_count"}', *customer, "-o", "json").out)["records"]
        for customer in ([], ["--customer", "all=all"], ["--customer", f"slug={rows}"])
    ]
    assert len(records[0]) == len(records[1]) > 0
    (own,) = records[2]
    number = str(own["community_id"])
    for customer in (number, f"id={number}", rows):
        done = command("query", '{"report": "samples_count"}', "--customer", customer, "-o", "json")
        assert json.loads(done.out)["records"] == [own]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{"], "The body is not valid JSON"),
        (['{"report": "x"}'], "report: Unknown report 'x'. Allowed: samples,"),
        (['{"report": "samples", "limit": 0, "colour": 1}'], "limit: Must be at least 1."),
        (['{"report": "samples"}', "-o", "yaml"], "-o is 'yaml'. Allowed: table, json, csv"),
        (
            ['{"report": "samples"}', "-o", "a.html"],
            "A chart needs a time series, statistics or an aggregate_by, and samples has records",
        ),
        (["samples", "--last", "7d"], "--last is '7d', but samples has no range of time"),
        (["samples_history", "--last", "7y"], "--last is '7y'. Allowed: a number from 1 to 1000"),
        (['{"report": "samples_history", "from": "2026-01-01"}', "--last", "7d"], "but the body has from or to"),
        (["nothing"], "report: Unknown report 'nothing'"),
        (['{"report": "samples"}', "--customer", "unknown"], "Customer 'unknown' not found"),
        (['{"report": "samples"}', "--customer", "id=2000000000"], "Customer 'id=2000000000' not found"),
        (['{"report": "samples"}', "--customer", "id="], "X-Customer is malformed. Allowed: id=1"),
        (['{"report": "samples", "page_info": "x"}', "--customer", "SLUG"], "page_info: "),
    ],
)
def test_an_invalid_query_ends_with_exit_code_2_and_one_line(
    command: Command, slug: str, arguments: list[str], message: str
) -> None:
    done = command("query", *(each.replace("SLUG", slug) for each in arguments))
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


# Formats -----------------------------------------------------------------------------------------------------


def test_csv_follows_rfc_4180() -> None:
    text = to_csv(RECORDS)
    assert text.startswith("id,name,tags,is_good,points\r\n")
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["id", "name", "tags", "is_good", "points"],
        ["1", 'a "b", c\nd', '["x", "y"]', "true", ""],
        ["20", "Łódź", "[]", "", "7"],
    ]


def test_a_json_object_is_one_cell() -> None:
    answer = {
        "records": [{"id": 1, "ranges": msgspec.Raw(b'{"1d": {"from": null}}')}],
        "pagination": {"next_page_info": None},
        "result_type": "records",
    }
    assert to_csv(answer) == 'id,ranges\r\n1,"{""1d"": {""from"": null}}"\r\n'
    assert as_table(answer).splitlines()[-1].split("   ")[-1] == '{"1d": {"from": null}}'


def test_a_timeseries_is_long_in_csv_and_wide_in_a_table() -> None:
    assert to_csv(TIMESERIES).splitlines() == [
        "bucket,timezone,type,platform,value",
        "2026-11-23T00:00:00.000+01:00,Europe/Oslo,out,,1",
        "2026-11-23T00:00:00.000+01:00,Europe/Oslo,</script>,ios,2",
        "2026-11-24T00:00:00.000+01:00,Europe/Oslo,</script>,ios,3",
    ]
    header, _, first, second = as_table(TIMESERIES).splitlines()
    assert header.split() == ["bucket", "out", "/", "-", "</script>", "/", "ios"]
    assert first.split() == ["2026-11-23T00:00:00.000+01:00", "1", "2"]
    assert second.split() == ["2026-11-24T00:00:00.000+01:00", "3"]


def test_series_of_several_time_zones_show_their_zone() -> None:
    zoned = {**TIMESERIES["series"][1], "timezone": "Asia/Tokyo", "label": {}}
    several = {**TIMESERIES, "range_timezone": "local", "series": [zoned]}
    assert to_csv(several).splitlines()[1] == "2026-11-23T00:00:00.000+01:00,Asia/Tokyo,2"
    assert "Asia/Tokyo" in as_table(several)
    alone = {**TIMESERIES, "series": [{"label": {}, "values": [1, 2]}]}
    assert as_table(alone).splitlines()[0].split() == ["bucket", "value"]


def test_each_group_of_statistics_is_a_row() -> None:
    assert to_csv(STATISTICS).splitlines() == ["channel,delivered,rate", "sms,10,0.5"]
    assert json.loads(to_json(STATISTICS)) == STATISTICS


def test_a_chart_is_written_to_a_file(command: Command, rows: str, tmp_path: Path) -> None:
    for name in ("chart.html", "chart.svg", "chart.png"):
        done = command("query", "samples_history", "--customer", rows, "-o", name)
        assert (done.code, done.out) == (0, f"Chart of samples_history written to {name}.\n")
    assert "<strong>Rows over time</strong>" in (tmp_path / "chart.html").read_text()
    assert "There is no data for “Rows over time”" in (tmp_path / "chart.svg").read_text()
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_the_extra_is_refused_before_the_query_runs(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    done = command("query", "samples_history", "-o", "chart.svg")
    assert done.code == 2
    assert "pip install 'regulars[charts]'" in done.err


def test_a_chart_that_can_not_be_written_is_refused_before_the_query_runs(command: Command, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    for name, reason in (("no/chart.html", "folder no does not exist"), ("folder.html", "it is a folder")):
        done = command("query", "samples_history", "-o", name)
        assert (done.code, done.err) == (2, f"regulars: {name} can't be written: {reason}.\n")


def test_a_result_that_is_cut_off_says_so(command: Command, rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut(*arguments: object) -> dict[str, Any]:
        return {**TIMESERIES, "truncated": True}

    monkeypatch.setattr(execute, "execute", cut)
    done = command("query", "samples_history", "--customer", rows)
    assert "-o csv writes all" in done.err
