"""Renders a time series or statistics as a self-contained HTML page."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import msgspec

from regulars.auth.tenants import Tenant
from regulars.cli.chart_names import Names
from regulars.core.field_type import FieldType
from regulars.offline.errors import MissingDependencyError
from regulars.query.query import ReportQuery
from regulars.reports.report import ReportMeasure

_encoder = msgspec.json.Encoder(decimal_format="number")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>html, body, #chart {{ height: 100%; margin: 0; font-family: sans-serif; }} p {{ padding: 1em; }}</style>
{program}
</head>
<body>
{content}
</body>
</html>
"""

_CHART = """<div id="chart"></div>
<script>
const chart = {chart};
Plotly.newPlot("chart", chart.data, chart.layout, {{ responsive: true, displaylogo: false }});
</script>"""

_LONGEST_BUCKETS = {
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=2),
    "1d": timedelta(hours=25),
    "1w": timedelta(days=7, hours=1),
    "1mo": timedelta(days=31, hours=1),
}
"""The longest time between the starts of two adjacent buckets; after more, buckets are missing."""

_SPACE = 0.12
"""The part of the height between two panels."""


@dataclass(slots=True)
class _Panel:
    """The traces of one unit, which share an axis."""

    unit: str
    tick_format: str = ""
    traces: list[dict[str, Any]] = field(default_factory=list)


def render_page(query: ReportQuery, result: Mapping[str, Any], tenants: Sequence[Tenant], names: Names) -> str:
    """Returns an HTML page with a panel for each unit of the values. A result without values is a sentence."""
    title = _title(query)
    find_panels = _series_panels if result["result_type"] == "timeseries" else _statistics_panels
    panels = find_panels(query, result, _Units(tenants), names)
    if not panels:
        sentence = html.escape(f"There is no data for “{title}” in this range.")
        return _PAGE.format(title=html.escape(title), program="", content=f"<p>{sentence}</p>")
    height = (1 - _SPACE * (len(panels) - 1)) / len(panels)
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "title": {"text": title},
        "barmode": "group",
        "showlegend": True,
        "hovermode": "x unified",
    }
    for index, panel in enumerate(panels):
        suffix = "" if index == 0 else str(index + 1)
        bottom = 1 - height - index * (height + _SPACE)
        layout[f"yaxis{suffix}"] = {
            "title": {"text": panel.unit},
            "rangemode": "tozero",
            "domain": [max(0.0, bottom), min(1.0, bottom + height)],
            "tickformat": panel.tick_format,
            "anchor": f"x{suffix}",
        }
        layout[f"xaxis{suffix}"] = {"title": {"text": _range(result)}, "anchor": f"y{suffix}"}
        traces += [{**each, "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"} for each in panel.traces]
    chart = _encoder.encode({"data": traces, "layout": layout}).decode()
    # A label must not be able to close the script element.
    content = _CHART.format(chart=chart.replace("<", "\\u003c"))
    return _PAGE.format(title=html.escape(title), program=f"<script>{plotly_script()}</script>", content=content)


def _title(query: ReportQuery) -> str:
    """The title in words: what the report is about, and by which fields it is grouped."""
    subject = query.report.description.partition(".")[0].partition(";")[0]
    fields = [] if query.aggregate_by is None else [_words(each) for each in query.aggregate_by.fields]
    return f"{subject}, by {' and '.join(fields)}" if fields else subject


def _words(name: str) -> str:
    return name.replace("_", " ")


def _range(result: Mapping[str, Any]) -> str:
    if result["result_type"] == "timeseries":
        return f"buckets of {result['interval']}, {result['range_timezone']}"
    return f"{result['from']} to {result['to']}"


# Units --------------------------------------------------------------------------------------------------------


class _Units:
    """The unit of a measure: what its axis says."""

    def __init__(self, tenants: Sequence[Tenant]) -> None:
        self._money = ", ".join(sorted({each.currency for each in tenants}))

    def panel_of(self, measure: ReportMeasure) -> tuple[str, str]:
        """The title of the axis, and the format of its ticks."""
        if measure.type is FieldType.MONEY:
            return self._money, ""
        if measure.type is FieldType.PERCENT:
            return "percent", ""
        if measure.type is FieldType.NUMBER and measure.quotient is not None:
            return "rate", ".0%"
        return "number", ""


def _by_unit(traces: Iterable[tuple[tuple[str, str], dict[str, Any]]]) -> list[_Panel]:
    panels: dict[tuple[str, str], _Panel] = {}
    for unit, trace in traces:
        panels.setdefault(unit, _Panel(*unit)).traces.append(trace)
    return list(panels.values())


# Time series --------------------------------------------------------------------------------------------------


def _series_panels(query: ReportQuery, result: Mapping[str, Any], units: _Units, names: Names) -> list[_Panel]:
    report = query.report
    measures = {each.name: each for each in query.measures}
    # Buckets are drawn at their local time, without the offset.
    buckets = [each[:19] for each in result["time_buckets"]]

    def traces() -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        for series in result["series"]:
            name = series["label"][report.metric] if report.metric else next(iter(measures))
            measure = measures[name]
            is_unknown = report.is_gauge or measure.quotient is not None
            # What did not happen is zero; a state or a quotient without a value is unknown.
            values = [0 if each is None and not is_unknown else each for each in series["values"]]
            x, y = _with_gaps(buckets, values, result["interval"]) if is_unknown else (buckets, values)
            shape = (
                {"type": "scatter", "mode": "lines+markers", "connectgaps": False} if is_unknown else {"type": "bar"}
            )
            yield units.panel_of(measure), {"name": _series_name(series, names), "x": x, "y": y, **shape}

    return (
        _by_unit(traces()) if any(each is not None for series in result["series"] for each in series["values"]) else []
    )


def _with_gaps(buckets: Sequence[str], values: Sequence[Any], interval: str) -> tuple[list[str], list[Any]]:
    """Buckets and values with an unknown value where buckets are missing, so that no line crosses the gap."""
    longest = _LONGEST_BUCKETS[interval]
    x: list[str] = []
    y: list[Any] = []
    for bucket, value in zip(buckets, values, strict=True):
        if x and datetime.fromisoformat(bucket) - datetime.fromisoformat(x[-1]) > longest:
            x.append((datetime.fromisoformat(x[-1]) + longest).isoformat())
            y.append(None)
        x.append(bucket)
        y.append(value)
    return x, y


def _series_name(group: Mapping[str, Any], names: Names) -> str:
    zone = [group["timezone"]] if "timezone" in group else []
    return " / ".join([*zone, *(_label(key, value, names) for key, value in group["label"].items())]) or "all"


def _label(key: str, value: object, names: Names) -> str:
    """A label as people read it: the name of what an id identifies, else the id with what it is."""
    if value is None:
        return f"no {_words(key.removesuffix('_id'))}"
    if (name := names.get(key, {}).get(value)) is not None:
        return name
    return f"{_words(key.removesuffix('_id'))} {value}" if isinstance(value, int) else str(value)


# Statistics ---------------------------------------------------------------------------------------------------


def _statistics_panels(query: ReportQuery, result: Mapping[str, Any], units: _Units, names: Names) -> list[_Panel]:
    groups = result["statistics"]
    x = [_series_name(each, names) for each in groups]

    def traces() -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        for measure in query.measures:
            values = [each["values"][measure.name] for each in groups]
            if any(each is not None for each in values):
                yield units.panel_of(measure), {"name": _words(measure.name), "x": x, "y": values, "type": "bar"}

    return _by_unit(traces())


def plotly_script() -> str:
    """Returns the JavaScript of plotly. Raises MissingDependencyError if plotly is not installed."""
    try:
        package = distribution("plotly")
    except PackageNotFoundError:
        raise MissingDependencyError("Charts need an extra: pip install 'regulars[charts]'.") from None
    return Path(str(package.locate_file("plotly/package_data/plotly.min.js"))).read_text()
