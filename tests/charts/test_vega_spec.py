"""Specifications in Vega-Lite, checked by drawing them, and HTML figures around them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from charts.samples import HISTORY, STATISTICS, STATS, TIMESERIES, draw, series_of
from regulars.charts.answer_chart import Subject
from regulars.charts.chart import Chart, ChartSeries, Panel, Quantity, Shape, Unit
from regulars.charts.figure import render_figure, render_page
from regulars.charts.language import ChartLanguage
from regulars.charts.palette import STATIC
from regulars.charts.vega_spec import format_figure, panel_spec

GAUGE = Subject(replace(HISTORY.report, is_gauge=True))
GROUPED = Subject(STATS, STATS.groupings_by_name["size"], "NOK")


def spec_of(chart: Chart, panel: int = 0) -> dict[str, Any]:
    """The specification of a panel, as JSON has it."""
    spec: dict[str, Any] = json.loads(msgspec.json.encode(panel_spec(chart, chart.panels[panel]), enc_hook=float))
    return spec


def test_bars_have_the_width_of_their_buckets_and_values_of_each_sign_are_stacked_apart() -> None:
    spec = spec_of(draw({**TIMESERIES, "series": series_of(2, -1, 3)}))
    bars = spec["layer"][0]
    first = [(each["series"], each["bottom"], each["value"]) for each in bars["data"]["values"][:3]]
    assert first == [("store 1", "0", "2"), ("store 2", "0", "-1"), ("store 3", "2", "5")]
    assert bars["data"]["values"][0]["at"] == "2026-11-23T01:55:12Z"
    assert bars["encoding"]["color"]["scale"]["range"] == ["var(--chart-1)", "var(--chart-2)", "var(--chart-3)"]
    assert spec["title"]["text"] == "count"


def test_a_line_has_a_gap_where_a_state_is_unknown_or_a_bucket_is_missing() -> None:
    buckets = [f"2026-11-{day}T00:00:00.000+01:00" for day in (20, 21, 24)]
    answer = {**TIMESERIES, "time_buckets": buckets, "series": [{"label": {}, "values": [0, None, 7]}]}
    lines = spec_of(draw(answer, GAUGE))["layer"][0]
    assert [(each["at"][:13], each["value"]) for each in lines["data"]["values"]] == [
        ("2026-11-20T12", 0),
        ("2026-11-21T12", None),
        ("2026-11-22T00", None),
        ("2026-11-24T12", 7),
    ]
    assert "shape" not in lines["layer"][1]["encoding"]
    several = spec_of(draw({**answer, "series": series_of(1, 2)[:2], "time_buckets": buckets[:2]}, GAUGE))["layer"][0]
    assert several["layer"][1]["encoding"]["shape"]["scale"]["range"] == ["circle", "square"]


def test_a_column_shows_all_figures_of_its_place() -> None:
    columns = spec_of(draw(TIMESERIES))["layer"][1]
    assert columns["data"]["values"][0] | {"at": "", "end": ""} == {
        "at": "",
        "end": "",
        "place": "Mon 23 Nov 2026",
        "v0": "1",
        "v1": "2",
    }
    assert [each["title"] for each in columns["encoding"]["tooltip"]] == [
        "time",
        "out / no platform",
        "</script> / ios",
    ]


def test_groups_of_the_same_name_are_two_places() -> None:
    values = {"count": 3, "spent_total": 1234.5, "average": None}
    groups = [{"label": {"size": "small"}, "values": values}] * 2
    chart = draw({**STATISTICS, "statistics": groups}, GROUPED)
    bars = spec_of(chart, 1)["layer"][0]
    assert [each["group"] for each in bars["data"]["values"]] == ["small", "small\N{ZERO WIDTH SPACE}"]
    assert bars["data"]["values"][0]["text"] == "1,234"
    assert spec_of(chart, 1)["title"]["text"] == "spent total, NOK"


def test_ticks_are_days_or_months_where_there_are_few() -> None:
    def ticks(interval: str, buckets: list[str]) -> Any:
        answer = {
            **TIMESERIES,
            "interval": interval,
            "time_buckets": buckets,
            "series": [{"label": {}, "values": [1] * len(buckets)}],
        }
        return spec_of(draw(answer))["layer"][0]["encoding"]["x"]["axis"].get("tickCount")

    two = TIMESERIES["time_buckets"]
    assert ticks("1d", two)["interval"] == "day"
    assert ticks("1mo", two)["interval"] == "month"
    assert ticks("1h", two) is None
    assert ticks("1mo", [two[0], "2029-11-01T00:00:00.000+01:00"]) is None
    assert ticks("1d", [two[0], "2026-12-31T00:00:00.000+01:00"]) is None


def test_figures_are_written_in_their_unit_and_language() -> None:
    norwegian = ChartLanguage("nb")
    chart = replace(draw(TIMESERIES), language=norwegian)

    def written(unit: Unit, value: Any) -> str:
        return format_figure(chart, Panel(unit, Shape.BARS, ()), value).replace("\N{NO-BREAK SPACE}", " ")

    assert written(Unit(Quantity.COUNT), 1234567) == "1 234 567"
    assert written(Unit(Quantity.MONEY, "NOK"), 1234.5) == "1 234,50"
    assert written(Unit(Quantity.MONEY, "JPY"), 1234) == "1 234"
    assert written(Unit(Quantity.MONEY), 1) == "1,00"
    assert written(Unit(Quantity.RATE), 0.1234) == "12,34 %"
    assert written(Unit(Quantity.PERCENT), 12.5) == "12,5 %"
    assert written(Unit(Quantity.COUNT), None) == "–"


def test_buckets_are_named_in_words() -> None:
    at = datetime.fromisoformat("2026-11-02T14:30")
    assert ChartLanguage().bucket(at, "1h") == "2 Nov 2026 14:30"
    assert ChartLanguage().bucket(at, "1w") == "2 Nov 2026 – 8 Nov 2026"
    assert ChartLanguage("nb").bucket(at, "1mo") == "november 2026"


def test_a_figure_can_be_read_without_scripts_and_escapes_labels() -> None:
    figure = render_figure(draw({**TIMESERIES, "truncated": True}))
    assert "<strong>a &lt;b&gt; &amp; c</strong>" in figure
    assert figure.count("</script>") == 1
    assert 'aria-label="a &lt;b&gt; &amp; c: out / no platform, &lt;/script&gt; / ios"' in figure
    assert '<p class="chart-note">The answer has more values' in figure
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', figure)
    assert rows == [("Mon 23 Nov 2026", "<td>1</td><td>2</td>"), ("Tue 24 Nov 2026", "<td>0</td><td>3</td>")]
    data = re.findall(r'<script type="application/json">(.*?)</script>', figure)
    assert [json.loads(each)["$schema"] for each in data] == ["https://vega.github.io/schema/vega-lite/v6.json"]


def test_columns_of_several_panels_name_their_units() -> None:
    groups = [{"label": {"size": "small"}, "values": {"count": 3, "spent_total": 1, "average": 2}}]
    assert re.findall(
        r'<th scope="col">(.*?)</th>', render_figure(draw({**STATISTICS, "statistics": groups}, GROUPED))
    ) == [
        "size",
        "count (number)",
        "spent total (NOK)",
        "average (NOK)",
    ]
    unknown = replace(GROUPED, currency="")
    assert "average (amount)" in render_figure(draw({**STATISTICS, "statistics": groups}, unknown))


def test_a_page_is_self_contained() -> None:
    page = render_page(draw(TIMESERIES))
    own = page.replace((STATIC / "vega.js").read_text(), "")
    assert "<title>a &lt;b&gt; &amp; c</title>" in own
    assert not re.search(r"src=|href=|url\(|@import|https?://(?!vega\.github\.io/schema)", own)
    assert "default-src 'none'" in own


def test_a_page_without_figures_is_a_sentence_without_a_script() -> None:
    page = render_page(draw({**TIMESERIES, "series": [], "time_buckets": []}))
    assert "There is no data for “a &lt;b&gt; &amp; c” in this range." in page
    assert "<script" not in page


def test_a_sum_of_others_has_the_colour_of_none() -> None:
    spec = spec_of(draw({**TIMESERIES, "series": series_of(*range(1, 10))}))
    assert spec["layer"][0]["encoding"]["color"]["scale"]["range"][-1] == "var(--chart-rest)"
    assert ChartSeries("a", (1,)).is_rest is False


def test_few_whole_numbers_each_have_a_tick_and_bars_leave_space_for_their_figures() -> None:
    def axis_of(*values: int) -> Any:
        return spec_of(draw({**TIMESERIES, "series": series_of(*values)}))["layer"][0]["encoding"]["y"]["axis"]

    assert axis_of(1, 2)["values"] == [0, 1, 2, 3]
    assert axis_of(1, -2)["values"] == [-2, -1, 0, 1]
    assert "values" not in axis_of(10, 20)
    groups = [{"label": {"size": size}, "values": {"count": n}} for size, n in (("small", -4), ("large", 6))]
    bars = spec_of(draw({**STATISTICS, "statistics": groups}, GROUPED))["layer"][0]["layer"][0]
    assert bars["encoding"]["x"]["scale"] == {"zero": True, "nice": False, "domainMax": 8.5, "domainMin": -6.5}


def test_a_line_of_counts_is_zero_where_nothing_happened_and_hidden_values_have_no_bars() -> None:
    buckets = [f"2026-11-{day}T00:00:00.000+01:00" for day in (20, 21, 24)]
    kinds = [{"label": {"type": kind}, "values": [1, 2, 3]} for kind in ("in", "out")]
    lines = spec_of(draw({**TIMESERIES, "time_buckets": buckets, "series": kinds}))["layer"][0]
    joined = [(each["at"][:13], each["value"]) for each in lines["data"]["values"] if each["series"] == "joined"]
    assert joined == [
        ("2026-11-20T12", 1),
        ("2026-11-21T12", 2),
        ("2026-11-22T12", 0),
        ("2026-11-23T12", 0),
        ("2026-11-24T12", 3),
    ]
    may_be_hidden = [{**each, "masked": True} for each in kinds]
    lines = spec_of(draw({**TIMESERIES, "time_buckets": buckets, "series": may_be_hidden}))["layer"][0]
    joined = [(each["at"][:13], each["value"]) for each in lines["data"]["values"] if each["series"] == "joined"]
    assert joined[2:] == [("2026-11-22T00", None), ("2026-11-24T12", 3)]
    hidden = [{"label": {}, "values": [None, 3], "masked": True}]
    bars = spec_of(draw({**TIMESERIES, "series": hidden}))["layer"][0]
    assert [each["value"] for each in bars["data"]["values"]] == ["3"]
