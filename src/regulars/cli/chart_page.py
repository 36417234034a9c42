"""Renders a time series as a self-contained HTML page."""

import html
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import msgspec

from regulars.cli.output import series_name
from regulars.offline.errors import MissingDependencyError

_encoder = msgspec.json.Encoder(decimal_format="number")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>html, body, #chart {{ height: 100%; margin: 0; }}</style>
<script>{program}</script>
</head>
<body>
<div id="chart"></div>
<script>
const chart = {chart};
Plotly.newPlot("chart", chart.data, chart.layout, {{ responsive: true, displaylogo: false }});
</script>
</body>
</html>
"""


def render_page(title: str, answer: Mapping[str, Any]) -> str:
    """Returns an HTML page with a line for each series of a time series."""
    # Buckets are drawn at their local time, without the offset.
    buckets = [each[:19] for each in answer["time_buckets"]]
    lines = [
        {
            "name": series_name(each),
            "x": buckets,
            "y": each["values"],
            "mode": "lines+markers" if len(buckets) < 60 else "lines",
        }
        for each in answer["series"]
    ]
    layout = {
        "title": {"text": title},
        "xaxis": {"title": {"text": f"{answer['interval']}, {answer['range_timezone']}"}},
        "yaxis": {"rangemode": "tozero"},
        "hovermode": "x unified",
        "showlegend": True,
    }
    chart = _encoder.encode({"data": lines, "layout": layout}).decode()
    # A label must not be able to close the script element.
    return _PAGE.format(title=html.escape(title), program=plotly_script(), chart=chart.replace("<", "\\u003c"))


def plotly_script() -> str:
    """Returns the JavaScript of plotly. Raises MissingDependencyError if plotly is not installed."""
    try:
        package = distribution("plotly")
    except PackageNotFoundError:
        raise MissingDependencyError("Charts need an extra: pip install 'regulars[charts]'.") from None
    return Path(str(package.locate_file("plotly/package_data/plotly.min.js"))).read_text()
