"""A chart as the value of a notebook's cell."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from regulars.charts.chart import Chart
from regulars.charts.figure import render_page
from regulars.charts.palette import Theme, with_colours
from regulars.charts.picture import draw_png, draw_svg
from regulars.charts.vega_spec import chart_spec
from regulars.core.errors import MissingDependencyError

FILE_TYPES = ("html", "svg", "png")
"""The types of files that a chart can be written to."""


_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"


class Plot:
    """A chart that notebooks draw, and that can be saved as a file."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart

    def save(self, path: str | Path) -> None:
        """Writes the chart to a .html, .svg or .png file. Raises ValueError for another, MissingDependencyError."""
        write_chart(self.chart, Path(path))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if self.chart.panels:
            spec = with_colours(chart_spec(self.chart, 640), Theme.LIGHT)
            # Decimals become the numbers of JSON.
            plain = msgspec.json.decode(msgspec.json.encode(spec, enc_hook=float))
            # What is used is the same in both versions; JupyterLab draws version 5.
            bundle["application/vnd.vegalite.v5+json"] = plain | {"$schema": _SCHEMA}
        # Notebooks that draw Vega-Lite themselves need no picture.
        with suppress(MissingDependencyError):
            bundle["image/svg+xml"] = draw_svg(self.chart)
        return bundle

    def __repr__(self) -> str:
        return f"<chart: {self.chart.title}>"


def write_chart(chart: Chart, path: Path) -> None:
    """Writes a chart to a file of the type that its name says. Raises ValueError for another, MissingDependencyError."""
    match path.suffix:
        case ".html":
            path.write_text(render_page(chart))
        case ".svg":
            path.write_text(draw_svg(chart))
        case ".png":
            path.write_bytes(draw_png(chart))
        case _:
            raise ValueError(f"The file is {path.name!r}. Allowed: {', '.join(f'.{each}' for each in FILE_TYPES)}.")
