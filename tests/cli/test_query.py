"""`regulars query`: a report from the shell, in every form of an answer."""

from __future__ import annotations

import csv
import io
import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest

from cli.conftest import Command
from query.sample_reports import REGISTRY
from regulars.cli import chart_page, query
from regulars.cli.output import as_table, to_csv, to_json
from regulars.offline.errors import MissingDependencyError

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
    monkeypatch.setattr(query, "REPORTS_BY_NAME", REGISTRY)


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
        (['{"report": "samples"}', "-o", "a.html"], "A chart needs a time series, and samples is none"),
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


def test_a_chart_is_self_contained_and_escapes_labels() -> None:
    page = chart_page.render_page("a <b> & c", TIMESERIES)
    assert "<title>a &lt;b&gt; &amp; c</title>" in page
    assert page.count("</script>") == 2
    assert 'src="' not in page.replace(chart_page.plotly_script(), "")
    assert "http" not in page.replace(chart_page.plotly_script(), "")
    chart = json.loads(page.rsplit("const chart = ", 1)[1].split(";\n", 1)[0])
    assert [(each["name"], each["y"]) for each in chart["data"]] == [
        ("out / -", [1, None]),
        ("</script> / ios", [2, 3]),
    ]
    assert chart["data"][0]["x"] == ["2026-11-23T00:00:00", "2026-11-24T00:00:00"]


def test_a_chart_without_plotly_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(chart_page, "distribution", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'regulars\[charts\]'"):
        chart_page.render_page("title", TIMESERIES)
