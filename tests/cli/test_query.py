"""`regulars query`: a report from the shell, in every form of an answer."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest

from cli.conftest import Command
from clubs import Club
from query.sample_reports import REGISTRY
from regulars.auth.tenants import Tenant
from regulars.cli import chart_page, export, query
from regulars.cli.chart_names import Names, names_of_labels
from regulars.cli.output import as_table, to_csv, to_json
from regulars.core.field_type import FieldType
from regulars.offline.errors import MissingDependencyError
from regulars.query import execute
from regulars.query.query import ReportQuery
from regulars.reports.report import ReportMeasure

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
            "A chart needs a time series or statistics, and samples has records",
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


TENANT = Tenant(7, 7, 7, 1, "nord", "Nord", "Europe/Oslo", "NOK", 2, {})
PAIRS = ReportQuery(replace(REGISTRY["samples_history"], description="a <b> & c. More."))


def draw(result: dict[str, Any], of: ReportQuery = PAIRS, names: Names | None = None) -> tuple[str, dict[str, Any]]:
    """The page of a result, and its chart."""
    page = chart_page.render_page(of, result, [TENANT], names or {})
    return page, json.loads(page.rsplit("const chart = ", 1)[1].split(";\n", 1)[0])


def test_a_chart_is_self_contained_and_escapes_labels() -> None:
    page, chart = draw(TIMESERIES)
    assert "<title>a &lt;b&gt; &amp; c</title>" in page
    assert page.count("</script>") == 2
    assert 'src="' not in page.replace(chart_page.plotly_script(), "")
    assert "http" not in page.replace(chart_page.plotly_script(), "")
    assert [(each["name"], each["y"], each["type"]) for each in chart["data"]] == [
        ("out / no platform", [1, 0], "bar"),
        ("</script> / ios", [2, 3], "bar"),
    ]
    assert chart["data"][0]["x"] == ["2026-11-23T00:00:00", "2026-11-24T00:00:00"]
    assert chart["layout"]["yaxis"]["title"]["text"] == "number"


def test_a_line_has_a_gap_where_a_state_is_unknown() -> None:
    state = ReportQuery(replace(REGISTRY["samples_history"], is_gauge=True))
    buckets = [f"2026-11-{day}T00:00:00.000+01:00" for day in (20, 21, 24)]
    series = [{"label": {"store_id": 4}, "values": [0, None, 7]}, {"label": {"store_id": 5}, "values": [1, 2, 3]}]
    result = {**TIMESERIES, "time_buckets": buckets, "series": series}
    _, chart = draw(result, state, {"store_id": {4: "Oslo City"}})
    first, second = chart["data"]
    assert (first["name"], second["name"]) == ("Oslo City", "store 5")
    assert (first["y"], second["y"]) == ([0, None, None, 7], [1, 2, None, 3])
    assert first["x"][2] == "2026-11-22T01:00:00"
    assert (first["mode"], first["connectgaps"]) == ("lines+markers", False)


def test_counts_and_money_have_axes_of_their_own() -> None:
    of = ReportQuery(REGISTRY["samples_stats"], aggregate_by=REGISTRY["samples_stats"].groupings_by_name["size"])
    groups = [
        {"label": {"size": size}, "values": {"count": 3, "spent_total": 10.5, "average": None}}
        for size in ("small", None)
    ]
    _, chart = draw({**STATISTICS, "statistics": groups}, of)
    assert chart["layout"]["title"]["text"] == "Rows in a range, by size"
    assert [(each["name"], each["x"], each["y"], each["yaxis"]) for each in chart["data"]] == [
        ("count", ["small", "no size"], [3, 3], "y"),
        ("spent total", ["small", "no size"], [10.5, 10.5], "y2"),
    ]
    assert [chart["layout"][axis]["title"]["text"] for axis in ("yaxis", "yaxis2")] == ["number", "NOK"]


def test_units_are_those_of_the_measures() -> None:
    measures = (
        ReportMeasure("share", FieldType.PERCENT, "A share.", sql="1"),
        ReportMeasure("rate", FieldType.NUMBER, "A rate.", quotient=("a", "b")),
    )
    of = ReportQuery(replace(REGISTRY["samples_stats"], measures=measures))
    _, chart = draw({**STATISTICS, "statistics": [{"label": {}, "values": {"share": 1, "rate": 0.5}}]}, of)
    assert [chart["layout"][axis]["title"]["text"] for axis in ("yaxis", "yaxis2")] == ["percent", "rate"]
    assert chart["layout"]["yaxis2"]["tickformat"] == ".0%"
    assert chart["data"][0]["x"] == ["all"]


def test_series_of_different_measures_are_drawn_by_their_units() -> None:
    of = ReportQuery(replace(REGISTRY["samples_history"], metric="metric", measures=REGISTRY["samples"].measures))
    series = [{"label": {"metric": name}, "values": [1, None]} for name in ("count", "spent_total", "average")]
    _, chart = draw({**TIMESERIES, "series": series}, of)
    assert [(each["name"], each["type"], each["y"], each["yaxis"]) for each in chart["data"]] == [
        ("count", "bar", [1, 0], "y"),
        ("spent_total", "bar", [1, 0], "y2"),
        ("average", "scatter", [1, None], "y2"),
    ]


def test_a_chart_without_data_is_a_sentence() -> None:
    for result in ({**TIMESERIES, "series": [], "time_buckets": []}, {**STATISTICS, "statistics": []}):
        page = chart_page.render_page(PAIRS, result, [TENANT], {})
        assert "<p>There is no data for “a &lt;b&gt; &amp; c” in this range.</p>" in page
        assert "<script>" not in page


def test_a_chart_without_plotly_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(chart_page, "distribution", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'regulars\[charts\]'"):
        chart_page.plotly_script()


async def test_stores_and_communities_in_labels_have_their_names(club: Club) -> None:
    stored = await club.http.post("/api/v3/locations", json={"name": "Oslo City"})
    store = stored.json()["data"]["id"]
    tenant = replace(TENANT, community_id=club.community.id)
    result = {"statistics": [{"label": {"store_id": each}, "values": {}} for each in (store, store + 1, None)]}
    names = await names_of_labels(club.database, [tenant], result)
    assert names == {
        "community_id": {club.community.id: "Nord"},
        "loyalty_club_id": {7: "Nord"},
        "store_id": {store: "Oslo City"},
    }


def test_a_chart_is_written_to_a_file(command: Command, rows: str, tmp_path: Path) -> None:
    done = command("query", "samples_history", "--customer", rows, "-o", "chart.html")
    assert (done.code, done.out) == (0, "Chart of samples_history written to chart.html.\n")
    assert "Rows over time" in (tmp_path / "chart.html").read_text()


def test_a_result_that_is_cut_off_says_so(command: Command, rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut(*arguments: object) -> dict[str, Any]:
        return {**TIMESERIES, "truncated": True}

    monkeypatch.setattr(execute, "execute", cut)
    done = command("query", "samples_history", "--customer", rows)
    assert "-o csv writes all" in done.err
