"""Charts as SVG and PNG, drawn without a browser by vl-convert. It is an extra."""

from types import ModuleType
from typing import Any

import msgspec

from regulars.charts.chart import Chart
from regulars.charts.palette import Theme, with_colours
from regulars.charts.vega_spec import chart_spec
from regulars.core.errors import MissingDependencyError

VEGA_LITE = "6.4"
"""The version of Vega-Lite, of those that vl-convert has: that of pages as well."""

_WIDTH = 760
_FONT = "system-ui, Helvetica, Arial, sans-serif"

_encoder = msgspec.json.Encoder(decimal_format="number")


def require_vl_convert() -> ModuleType:
    """The module vl_convert. Raises MissingDependencyError if it is not installed."""
    try:
        import vl_convert
    except ImportError:
        raise MissingDependencyError("Pictures of charts need an extra: pip install 'regulars[charts]'.") from None
    return vl_convert


def draw_svg(chart: Chart, theme: Theme = Theme.LIGHT) -> str:
    """The chart as SVG."""
    svg: str = require_vl_convert().vegalite_to_svg(_spec(chart, theme), vl_version=VEGA_LITE)
    return svg


def draw_png(chart: Chart, theme: Theme = Theme.LIGHT) -> bytes:
    """The chart as PNG, at two pixels a point."""
    png: bytes = require_vl_convert().vegalite_to_png(_spec(chart, theme), vl_version=VEGA_LITE, scale=2)
    return png


def _spec(chart: Chart, theme: Theme) -> str:
    spec: dict[str, Any] = chart_spec(chart, _WIDTH) if chart.panels else _empty(chart)
    config = {**spec["config"], "font": _FONT, "background": "var(--chart-surface)", "padding": 16}
    return _encoder.encode(with_colours({**spec, "config": config}, theme)).decode()


def _empty(chart: Chart) -> dict[str, Any]:
    """A picture of the sentence that there are no figures."""
    text = {"type": "text", "text": chart.empty_text, "fontSize": 14, "color": "var(--chart-text)"}
    return {"width": _WIDTH, "height": 60, "data": {"values": [{}]}, "mark": text, "config": {"view": {"stroke": None}}}
