"""Specifications of panels in Vega-Lite. Colours are CSS variables, which the page or `palette` replaces."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from regulars.charts.answer_chart import MAX_SERIES
from regulars.charts.chart import Chart, ChartSeries, Figure, GroupAxis, Panel, Quantity, Shape, TimeAxis, TimeBucket
from regulars.charts.language import d3_locale

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""The name of the format; nothing is read from it."""

_COLOURS = [*(f"var(--chart-{number})" for number in range(1, MAX_SERIES + 1)), "var(--chart-rest)"]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke"]
_FEW_TICKS = 24
_HEIGHT, _BAND, _NARROW_BAND = 260, 22, 14
_SPACE = 0.08
"""The part of a bucket's width that is left free on each side of its bar."""

_FEW_VALUES = 6
"""The length of an axis whose whole numbers all have a tick."""

_TEXT_SPACE = 0.25
"""The part of the values that is left free beside bars."""

_LARGE = 1_000
"""Amounts from here on are rounded at the ends of bars."""

_NO_WIDTH = "\N{ZERO WIDTH SPACE}"
_TIME_FORMAT = {
    "year": "%Y",
    "quarter": "%b",
    "month": "%b",
    "week": "%-d %b",
    "date": "%-d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
}
_VALUE_FORMATS = {Quantity.RATE: "~%", Quantity.COUNT: ",~f", Quantity.MONEY: ",~f", Quantity.PERCENT: ",~f"}


def panel_spec(chart: Chart, panel: Panel, width: int | str = "container") -> Spec:
    """The specification of one panel."""
    autosize = {"type": "fit-x", "contains": "padding"}
    return {"$schema": SCHEMA, "autosize": autosize, **_panel(chart, panel, width), "config": _config(chart)}


def chart_spec(chart: Chart, width: int) -> Spec:
    """The specification of all panels below each other, with the title, for a picture."""
    title = {"text": chart.title, "subtitle": [each for each in (chart.subtitle, *chart.notes) if each]}
    return {
        "$schema": SCHEMA,
        "title": {
            "color": "var(--chart-text)",
            **title,
            "fontSize": 16,
            "fontWeight": 600,
            "anchor": "start",
            "offset": 12,
        },
        "vconcat": [_panel(chart, each, width) for each in chart.panels],
        "resolve": {"scale": {"color": "independent", "shape": "independent"}},
        "config": _config(chart),
    }


def _panel(chart: Chart, panel: Panel, width: int | str) -> Spec:
    make = _time_panel if isinstance(chart.axis, TimeAxis) else _group_panel
    spec: Spec = make(chart.axis, chart, panel)  # type: ignore[arg-type]
    return {"width": width, "title": {"text": _heading(chart, panel)}, **spec}


def unit_name(chart: Chart, panel: Panel) -> str:
    """The unit of a panel."""
    quantity, currency = panel.unit.quantity, panel.unit.currency
    if quantity is Quantity.MONEY:
        return currency or chart.language.words("amount")
    return chart.language.words(quantity.value)


def _heading(chart: Chart, panel: Panel) -> str:
    """What a panel shows: its measure, and the unit of other than numbers."""
    unit = unit_name(chart, panel)
    if not panel.measure:
        return unit
    return panel.measure if panel.unit.quantity is Quantity.COUNT else f"{panel.measure}, {unit}"


def format_figure(chart: Chart, panel: Panel, value: Figure | None) -> str:
    """A figure as people read it; an unknown one is a dash."""
    if value is None:
        return "–"
    match panel.unit.quantity:
        case Quantity.MONEY:
            return chart.language.money(value, panel.unit.currency)
        case Quantity.RATE:
            return chart.language.percent(value)
        case Quantity.PERCENT:
            return f"{chart.language.count(value)}\N{NO-BREAK SPACE}%"
        case _:
            return chart.language.count(value)


# Time ---------------------------------------------------------------------------------------------------------


def _time_panel(axis: TimeAxis, chart: Chart, panel: Panel) -> Spec:
    rows = [
        {"at": _text(bucket.start), "end": _text(bucket.end), "place": bucket.name, **_shown(chart, panel, index)}
        for index, bucket in enumerate(axis.buckets)
    ]
    time = {"field": "at", "type": "temporal", "scale": {"type": "utc"}, "title": None}
    x = {**time, "axis": {"format": _TIME_FORMAT, "labelOverlap": True, "grid": False, **_ticks(axis)}}
    # A column of each bucket's width shows all its figures.
    columns = {
        "data": {"values": rows},
        "mark": {"type": "rect", "opacity": 0},
        "encoding": {"x": x, "x2": {"field": "end"}, "tooltip": _tooltip(axis.title, panel)},
    }
    draw = _lines if panel.shape is Shape.LINES else _columns
    return {"height": _HEIGHT, "layer": [*draw(axis, panel, x), columns]}


def _ticks(axis: TimeAxis) -> Spec:
    """Ticks at the starts of months, or of a few days; otherwise Vega chooses them."""
    length = axis.buckets[0].end - axis.buckets[0].start
    if (axis.buckets[-1].end - axis.buckets[0].start) / length > _FEW_TICKS:
        return {}
    if length > timedelta(days=7):
        return {"tickCount": {"interval": "month", "step": 1}}
    if length == timedelta(days=1):
        return {"tickCount": {"interval": "day", "step": 1}}
    return {}


def _columns(axis: TimeAxis, panel: Panel, x: Spec) -> list[Spec]:
    values = []
    for index, bucket in enumerate(axis.buckets):
        space = (bucket.end - bucket.start) * _SPACE
        span = {"at": _text(bucket.start + space), "end": _text(bucket.end - space)}
        # Values above and below zero are stacked apart.
        tops = {True: Decimal(0), False: Decimal(0)}
        for each in panel.series:
            value = each.values[index]
            if value is not None:
                bottom = tops[value > 0]
                top = tops[value > 0] = bottom + Decimal(str(value))
                values.append({**span, "series": each.name, "bottom": bottom, "value": top})
    y = _value_axis(panel, "y")
    encoding = {"x": x, "x2": {"field": "end"}, "y": y, "y2": {"field": "bottom"}, **_colour(panel.series)}
    return [{"data": {"values": values}, "mark": {"type": "rect"}, "encoding": encoding}]


def _lines(axis: TimeAxis, panel: Panel, x: Spec) -> list[Spec]:
    values: list[Spec] = []
    for each in panel.series:
        last = None
        for bucket, value in zip(axis.buckets, each.values, strict=True):
            if last is not None and bucket.start - last > timedelta(hours=1):
                values += _missing(each, last, bucket, panel)
            # The columns that show the figures are around their points.
            middle = bucket.start + (bucket.end - bucket.start) / 2
            values.append({"at": _text(middle), "series": each.name, "value": value})
            last = bucket.end
    has_points = len(axis.buckets) <= 100
    mark: Spec = {"type": "line", "strokeWidth": 2, "invalid": "break-paths-show-path-domains"}
    encoding = {"x": x, "y": _value_axis(panel, "y"), **_colour(panel.series)}
    lines = {"mark": mark, "encoding": encoding}
    points = {
        "transform": [{"filter": "isValid(datum.value)"}],
        "mark": {"type": "point", "filled": True, "size": 30 if has_points else 6, "opacity": 1},
        "encoding": {**encoding, **_point_shapes(panel.series)},
    }
    return [{"data": {"values": values}, "layer": [lines, points]}]


def _missing(series: ChartSeries, last: datetime, bucket: TimeBucket, panel: Panel) -> list[Spec]:
    """What a line has between two buckets that are apart: a gap where nothing is known, else zero."""
    if panel.is_state or series.is_incomplete:
        return [{"at": _text(last), "series": series.name, "value": None}]
    half = (bucket.end - bucket.start) / 2
    places = dict.fromkeys((last + half, bucket.start - half))
    return [{"at": _text(at), "series": series.name, "value": 0} for at in places]


# Groups -------------------------------------------------------------------------------------------------------


def _group_panel(axis: GroupAxis, chart: Chart, panel: Panel) -> Spec:
    names = _distinct(axis.groups)
    values = [
        {"group": name, "series": each.name, "value": value, "text": _bar_text(chart, panel, value)}
        for each in panel.series
        for name, value in zip(names, each.values, strict=True)
        if value is not None
    ]
    rows = [{"group": name, "place": name, **_shown(chart, panel, index)} for index, name in enumerate(names)]
    y = {
        "field": "group",
        "type": "nominal",
        "sort": names,
        "title": None,
        "scale": {"domain": names},
        "axis": {"labelLimit": 190, "ticks": False, "domain": False},
    }
    series = len(panel.series)
    offset = {"yOffset": {"field": "series", "sort": [each.name for each in panel.series]}} if series > 1 else {}
    encoding: Spec = {"y": y, "x": _value_axis(panel, "x"), **offset}
    layers: list[Spec] = [
        {
            "data": {"values": values},
            "layer": [
                {"mark": {"type": "bar", "cornerRadiusEnd": 2}, "encoding": {**encoding, **_colour(panel.series)}},
                {
                    "mark": {
                        "type": "text",
                        "align": {"expr": "datum.value < 0 ? 'right' : 'left'"},
                        "dx": {"expr": "datum.value < 0 ? -4 : 4"},
                        "fill": "var(--chart-text)",
                        "fontSize": 11,
                    },
                    "encoding": {**encoding, "text": {"field": "text"}},
                },
            ],
        },
        {
            "data": {"values": rows},
            "mark": {"type": "rect", "opacity": 0},
            "encoding": {"y": y, "tooltip": _tooltip(axis.title, panel)},
        },
    ]
    band = _BAND if series == 1 else series * _NARROW_BAND + _NARROW_BAND
    return {"height": len(names) * band, "layer": layers}


def _bar_text(chart: Chart, panel: Panel, value: Figure) -> str:
    """The figure at the end of a bar; large amounts have no decimals there."""
    if panel.unit.quantity is Quantity.MONEY and abs(float(value)) >= _LARGE:
        return chart.language.count(round(value))
    return format_figure(chart, panel, value)


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, with blanks of no width after those that occur more than once, because a place is found by its name."""
    occurrences: dict[str, int] = {}
    distinct = []
    for name in names:
        occurrences[name] = occurrences.get(name, 0) + 1
        distinct.append(name + _NO_WIDTH * (occurrences[name] - 1))
    return distinct


# Parts --------------------------------------------------------------------------------------------------------


def _shown(chart: Chart, panel: Panel, index: int) -> Spec:
    """The figures of a place in words, by the number of their series."""
    return {f"v{number}": format_figure(chart, panel, each.values[index]) for number, each in enumerate(panel.series)}


def _tooltip(title: str, panel: Panel) -> list[Spec]:
    shown = [{"field": f"v{number}", "type": "nominal", "title": each.name} for number, each in enumerate(panel.series)]
    return [{"field": "place", "type": "nominal", "title": title}, *shown]


def _value_axis(panel: Panel, channel: str) -> Spec:
    axis: Spec = {"format": _VALUE_FORMATS[panel.unit.quantity], "tickCount": 5, "domain": False, "ticks": False}
    lowest, highest = _extent(panel)
    values = [value for each in panel.series for value in each.values if value is not None]
    is_whole = panel.unit.quantity is Quantity.COUNT and all(value == int(value) for value in values)
    if is_whole and highest - lowest <= _FEW_VALUES:
        # Vega divides a short axis of whole numbers by halves.
        axis["values"] = list(range(int(lowest), int(highest) + 1))
    scale: Spec = {"zero": True, "nice": True}
    if channel == "x":
        # Space for the figures at the ends of bars.
        space = (highest - lowest) * _TEXT_SPACE
        scale = {"zero": True, "nice": False, **({"domainMax": highest + space} if highest > 0 else {})}
        scale |= {"domainMin": lowest - space} if lowest < 0 else {}
    return {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "stack": None,
        "axis": {**axis, "grid": channel == "y", "labels": channel == "y"},
        "scale": scale,
    }


def _extent(panel: Panel) -> tuple[float, float]:
    """The lowest and the highest value of a panel, with zero; stacked values are added up."""
    places = zip(*(each.values for each in panel.series), strict=True)
    columns = [[float(value) for value in place if value is not None] for place in places]
    if panel.shape is Shape.STACKED_BARS:
        columns = [[sum(v for v in each if v > 0), sum(v for v in each if v < 0)] for each in columns]
    values = [value for each in columns for value in each]
    return min([0.0, *values]), max([0.0, *values])


def _colour(series: tuple[ChartSeries, ...]) -> Spec:
    if len(series) == 1:
        return {"color": {"value": _COLOURS[0]}}
    names = [each.name for each in series]
    return {
        "color": {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": names, "range": _range(series)},
            "title": None,
        }
    }


def _range(series: tuple[ChartSeries, ...]) -> list[str]:
    return [_COLOURS[-1] if each.is_rest else _COLOURS[number] for number, each in enumerate(series)]


def _point_shapes(series: tuple[ChartSeries, ...]) -> Spec:
    """Points of a shape by series, so that colour is not the only difference."""
    if len(series) == 1:
        return {}
    names = [each.name for each in series]
    scale = {"domain": names, "range": _SHAPES[: len(names)]}
    return {"shape": {"field": "series", "type": "nominal", "scale": scale, "title": None}}


def _text(at: Any) -> str:
    """A local time as if it were UTC: the scale is in UTC, so no browser moves it to its own zone."""
    return f"{at.isoformat()}Z"


def _config(chart: Chart) -> Spec:
    text, muted, grid = "var(--chart-text)", "var(--chart-muted)", "var(--chart-grid)"
    return {
        "background": None,
        "aria": False,
        "locale": d3_locale(chart.language.locale),
        "view": {"stroke": None},
        "title": {"anchor": "start", "fontSize": 12, "fontWeight": "normal", "color": muted, "subtitleColor": muted},
        "axis": {
            "labelColor": text,
            "labelFontSize": 12,
            "gridColor": grid,
            "domainColor": grid,
            "tickColor": grid,
            "titleColor": muted,
        },
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "labelColor": text,
            "labelFontSize": 12,
            "labelLimit": 220,
            "symbolSize": 80,
            "offset": 6,
            "columnPadding": 14,
        },
        "bar": {"color": _COLOURS[0]},
    }
