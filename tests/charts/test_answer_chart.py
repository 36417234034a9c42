"""The chart of a report's answer: what is drawn, in which order, and how it is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from charts.samples import HISTORY, STATISTICS, STATS, TIMESERIES, draw, series_of
from query.sample_reports import REGISTRY
from regulars.charts.answer_chart import MAX_GROUPS, Subject, can_be_drawn
from regulars.charts.chart import GroupAxis, Quantity, Shape, TimeAxis, Unit
from regulars.charts.language import ChartLanguage
from regulars.charts.report_words import DESCRIPTIONS, WORDS
from regulars.core.field_type import FieldType
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Report, ReportFormat, ReportMeasure


def test_counts_of_a_time_series_are_stacked_bars_and_what_did_not_happen_is_zero() -> None:
    chart = draw(TIMESERIES)
    (panel,) = chart.panels
    assert (chart.title, chart.subtitle) == ("a <b> & c", "23 Nov 2026 – 24 Nov 2026, Europe/Oslo")
    assert [(each.name, each.values) for each in panel.series] == [
        ("out / no platform", (1, 0)),
        ("</script> / ios", (2, 3)),
    ]
    assert (panel.shape, panel.unit, panel.measure) == (Shape.STACKED_BARS, Unit(Quantity.COUNT), "count")
    assert isinstance(chart.axis, TimeAxis)
    assert chart.axis.places == ["Mon 23 Nov 2026", "Tue 24 Nov 2026"]


def test_a_single_series_is_bars_and_a_state_is_a_line_with_unknown_values() -> None:
    one = {**TIMESERIES, "series": TIMESERIES["series"][:1]}
    assert draw(one).panels[0].shape is Shape.BARS
    state = draw(one, Subject(replace(REGISTRY["samples_history"], is_gauge=True)))
    assert (state.panels[0].shape, state.panels[0].series[0].values) == (Shape.LINES, (1, None))
    not_additive = draw(TIMESERIES, Subject(replace(REGISTRY["samples_history"], is_additive=False)))
    assert not_additive.panels[0].shape is Shape.LINES


def test_buckets_end_where_the_next_begins() -> None:
    for interval, ends in {"5m": "00:05", "1h": "01:00", "1w": "30T00:00", "1mo": "12-23"}.items():
        axis = draw({**TIMESERIES, "interval": interval}).axis
        assert isinstance(axis, TimeAxis)
        assert ends in axis.buckets[0].end.isoformat()
    december = draw({**TIMESERIES, "interval": "1mo", "time_buckets": ["2026-12-01T00:00:00.000+01:00"] * 2}).axis
    assert isinstance(december, TimeAxis)
    assert december.buckets[0].end.isoformat() == "2027-01-01T00:00:00"


@pytest.mark.parametrize(
    ("zone", "interval", "starts", "spans"),
    [
        (
            "Europe/Oslo",
            "1h",
            ["10-25T01:00+02:00", "10-25T02:00+02:00", "10-25T02:00+01:00", "10-25T03:00+01:00"],
            ["01:00-02:00", "02:00-02:30", "02:30-03:00", "03:00-04:00"],
        ),
        (
            "Europe/Oslo",
            "5m",
            ["10-25T02:00+02:00", "10-25T02:50+02:00", "10-25T02:00+01:00", "10-25T02:50+01:00"],
            ["02:00:00-02:02:30", "02:25:00-02:27:30", "02:30:00-02:32:30", "02:55:00-02:57:30"],
        ),
        ("Europe/Oslo", "1h", ["03-29T01:00+01:00", "03-29T03:00+02:00"], ["01:00-02:00", "03:00-04:00"]),
        # Clocks are changed by half an hour, within the bucket of an hour.
        (
            "Australia/Lord_Howe",
            "1h",
            ["04-05T01:00+11:00", "04-05T01:30+10:30", "04-05T02:00+10:30"],
            ["01:00-01:45", "01:45-02:00", "02:00-03:00"],
        ),
        ("Australia/Lord_Howe", "1h", ["10-04T02:30+11:00", "10-04T03:00+11:00"], ["02:30-03:00", "03:00-04:00"]),
    ],
)
def test_buckets_of_a_repeated_hour_are_drawn_beside_each_other(
    zone: str, interval: str, starts: list[str], spans: list[str]
) -> None:
    buckets = [f"2026-{each[:11]}:00.000{each[11:]}" for each in starts]
    answer = {"interval": interval, "range_timezone": zone, "time_buckets": buckets}
    axis = draw({**TIMESERIES, **answer, "series": []}).axis
    assert isinstance(axis, TimeAxis)
    assert [
        f"{each.start.time().isoformat()[: len(span) // 2]}-{each.end.time().isoformat()[: len(span) // 2]}"
        for each, span in zip(axis.buckets, spans, strict=True)
    ] == spans
    assert len(set(axis.places)) == len(starts)


def test_the_name_of_a_repeated_time_has_its_offset() -> None:
    buckets = ["2026-10-25T02:00:00.000+02:00", "2026-10-25T02:00:00.000+01:00", "2026-10-25T03:00:00.000+01:00"]
    answer = {**TIMESERIES, "interval": "1h", "series": []}
    assert draw({**answer, "time_buckets": buckets}).axis.places == [
        "25 Oct 2026 02:00 UTC+02:00",
        "25 Oct 2026 02:00 UTC+01:00",
        "25 Oct 2026 03:00",
    ]
    across_zones = {**answer, "range_timezone": "local", "time_buckets": ["2026-10-25T02:00:00.000"]}
    assert draw(across_zones).axis.places == ["25 Oct 2026 02:00"]


def test_more_series_than_colours_are_summed_up_where_sums_are_right() -> None:
    answer = {**TIMESERIES, "series": series_of(1, 20, 30, 40, 50, 60, 70, None, 0.5)}
    drawn = draw(answer, names={"store_id": {2: "Oslo City"}}).panels[0].series
    assert [each.name for each in drawn] == ["Oslo City", *(f"store {n}" for n in range(3, 8)), "3 others"]
    assert [float(value or 0) for value in drawn[-1].values] == [1.5, 1.5]
    chart = draw(answer, Subject(replace(REGISTRY["samples_history"], is_additive=False)))
    assert len(chart.panels[0].series) == 6
    assert chart.notes == ("Not drawn: 3 smaller groups.",)
    hidden = [{**each, "masked": True, "values": [None, None]} for each in series_of(*range(8))]
    some = draw({**TIMESERIES, "series": [*hidden, {"label": {"store_id": 9}, "values": [5, 5]}]})
    assert some.panels[0].series[-1].values == (None, None)
    assert some.notes == ("Small groups are hidden by the privacy setting of this organization.",)


def test_a_sum_of_others_is_unknown_where_one_of_them_may_be_hidden() -> None:
    def others(**changes: Any) -> tuple[object, ...]:
        small = {"label": {"store_id": 9}, "values": [1, None], **changes}
        return draw({**TIMESERIES, "series": [*series_of(*range(10, 17)), small]}).panels[0].series[-1].values

    assert others() == (11, 10)
    assert others(masked=True) == (11, None)


def test_a_truncated_answer_says_so_and_what_is_cut_off_is_unknown() -> None:
    chart = draw({**TIMESERIES, "series": TIMESERIES["series"][::-1], "truncated": True})
    assert "more values than are shown" in chart.notes[0]
    assert [each.values for each in chart.panels[0].series] == [(2, 3), (1, None)]


def test_counts_money_and_quotients_have_panels_of_their_own() -> None:
    subject = Subject(STATS, STATS.groupings_by_name["size"], "NOK")
    groups = [
        {"label": {"size": size}, "values": {"count": 3, "spent_total": 10.5, "average": average}}
        for size, average in (("small", 2), (None, None))
    ]
    chart = draw({**STATISTICS, "statistics": groups}, subject)
    assert (chart.title, chart.subtitle) == ("Rows in a range, by size", "23 Nov 2026 – 24 Nov 2026 12:30")
    assert isinstance(chart.axis, GroupAxis)
    assert (chart.axis.title, chart.axis.places) == ("size", ("small", "no size"))
    money = Unit(Quantity.MONEY, "NOK")
    assert [(each.measure, each.unit, each.series[0].values) for each in chart.panels] == [
        ("count", Unit(Quantity.COUNT), (3, 3)),
        ("spent total", money, (10.5, 10.5)),
        ("average", money, (2, None)),
    ]


def test_units_are_those_of_the_measures() -> None:
    measures = (
        ReportMeasure("share", FieldType.PERCENT, "A share.", sql="1"),
        ReportMeasure("rate", FieldType.NUMBER, "A rate.", quotient=("a", "b")),
    )
    groups = [{"label": {}, "values": {"share": 1, "rate": 0.5}}]
    chart = draw({**STATISTICS, "statistics": groups}, Subject(replace(STATS, measures=measures)))
    assert [each.unit.quantity for each in chart.panels] == [Quantity.PERCENT, Quantity.RATE]
    assert (chart.axis.title, chart.axis.places) == ("group", ("all",))


def test_more_measures_than_colours_are_several_panels() -> None:
    measures = tuple([ReportMeasure(f"m{n}", FieldType.INTEGER, "A number.", sql="1") for n in range(8)])
    groups = [{"label": {}, "values": {each.name: 1 for each in measures}}]
    chart = draw({**STATISTICS, "statistics": groups}, Subject(replace(STATS, measures=measures)))
    assert [len(each.series) for each in chart.panels] == [6, 2]
    assert [each.measure for each in chart.panels] == ["", ""]


def test_measures_of_a_time_series_share_a_panel_by_unit_and_groups_of_them_do_not() -> None:
    report = replace(REGISTRY["samples_history"], metric="metric", measures=REGISTRY["samples"].measures)
    names = ("count", "spent_total", "average")
    total = draw(
        {**TIMESERIES, "series": [{"label": {"metric": name}, "values": [1, None]} for name in names]}, Subject(report)
    )
    assert [(each.measure, each.shape, each.series[0].name) for each in total.panels] == [
        ("count", Shape.BARS, "count"),
        ("spent total", Shape.BARS, "spent total"),
        ("average", Shape.LINES, "average"),
    ]
    labels = [{"metric": name, "size": size} for name in names for size in ("small", "large")]
    grouped = draw({**TIMESERIES, "series": [{"label": each, "values": [1, 2]} for each in labels]}, Subject(report))
    assert [[each.name for each in panel.series] for panel in grouped.panels] == [["small", "large"]] * 3
    assert [each.shape for each in grouped.panels] == [Shape.STACKED_BARS, Shape.STACKED_BARS, Shape.LINES]


def test_records_of_groups_are_bars() -> None:
    samples = REGISTRY["samples"]
    records = [
        {"size": size, "count": number, "spent_total": None, "average": None}
        for size, number in (("small", 1), ("large", 2))
    ]
    chart = draw({"records": records, "result_type": "records"}, Subject(samples, samples.groupings_by_name["by_size"]))
    assert (chart.axis.places, chart.panels[0].series[0].values) == (("small", "large"), (1, 2))
    assert chart.subtitle == ""
    counted = draw(
        {"records": [{"community_id": 7, "count": 5}], "result_type": "records"}, Subject(REGISTRY["samples_count"])
    )
    assert counted.axis.places == ("community 7",)


def test_groups_without_an_order_are_sorted_by_their_first_measure() -> None:
    samples = REGISTRY["samples"]

    def places(grouping: str, key: str, values: list[object]) -> list[str]:
        records = [{key: each, "count": number, "masked": True} for number, each in enumerate(values)]
        subject = Subject(samples, samples.groupings_by_name[grouping])
        return list(draw({"records": records, "result_type": "records"}, subject).axis.places)

    assert places("by_name", "name", ["a", "b"]) == ["b", "a"]
    assert places("by_points", "points", [1, 2]) == ["points 1", "points 2"]
    assert places("by_day", "day", ["2026-01-01", "2026-01-02"]) == ["2026-01-01", "2026-01-02"]
    assert places("by_is_good", "is_good", [True, False]) == ["is good: no", "is good: yes"]


def test_more_groups_than_fit_are_not_drawn() -> None:
    samples = REGISTRY["samples"]
    records = [{"name": str(number), "count": number} for number in range(MAX_GROUPS + 2)]
    chart = draw({"records": records, "result_type": "records"}, Subject(samples, samples.groupings_by_name["by_name"]))
    assert (len(chart.axis.places), chart.axis.places[0]) == (MAX_GROUPS, "41")
    assert chart.notes == ("Not drawn: 2 smaller groups.",)


NOTHING: list[dict[str, object]] = [
    {**TIMESERIES, "series": [], "time_buckets": []},
    {**STATISTICS, "statistics": []},
    {**TIMESERIES, "series": series_of(None)},
]


@pytest.mark.parametrize("answer", NOTHING)
def test_an_answer_without_values_has_no_panels(answer: dict[str, object]) -> None:
    chart = draw(answer, Subject(replace(HISTORY.report, is_gauge=True)))
    assert chart.panels == ()
    assert chart.empty_text == "There is no data for “a <b> & c” in this range."


def test_texts_are_translated() -> None:
    catalogue = {
        "no {thing}": "uten {thing}",
        "platform": "plattform",
        "{title}, by {fields}": "{title} etter {fields}",
    }
    language = ChartLanguage("nb", lambda text: catalogue.get(text, text))
    chart = draw(TIMESERIES, grouping=HISTORY.report.groupings_by_name["size"], language=language)
    assert chart.title == "a <b> & c etter size"
    assert chart.panels[0].series[0].name == "out / uten plattform"


@pytest.mark.parametrize("report", REPORTS_BY_NAME.values(), ids=lambda report: report.name)
def test_every_report_can_be_drawn_by_each_of_its_groupings(report: Report) -> None:
    assert can_be_drawn(report, None) == (report.format is not ReportFormat.RECORDS or not report.key)
    for grouping in report.groupings_by_name.values():
        assert can_be_drawn(report, grouping)
        assert Subject(report, grouping).title


def test_every_word_of_a_report_can_be_translated() -> None:
    words = {*WORDS, *DESCRIPTIONS}
    for report in REPORTS_BY_NAME.values():
        language = ChartLanguage(translate=lambda text: "" if text in words else text)
        names = [report.name, *(each.name for each in report.fields), *(each.name for each in report.measures)]
        for grouping in report.groupings_by_name.values():
            names += [grouping.name.removeprefix("by_"), *(each.name for each in grouping.measures)]
        assert [name for name in names if language.words(name)] == []
        assert {report.description, Subject(report).title} <= words
