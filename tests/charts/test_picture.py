"""Charts as SVG, PNG and values of notebooks; the script of pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from charts.samples import STATISTICS, STATS, TIMESERIES, draw, series_of
from regulars.charts import vega_script
from regulars.charts.answer_chart import Subject
from regulars.charts.palette import STATIC, Theme
from regulars.charts.picture import draw_png, draw_svg
from regulars.charts.plot import Plot
from regulars.core.errors import MissingDependencyError

GROUPS = [
    {"label": {"size": size}, "values": {"count": 3, "spent_total": 10.5, "average": 2}} for size in ("small", "large")
]
ANSWERS: list[dict[str, Any]] = [
    TIMESERIES,
    {**TIMESERIES, "series": series_of(*range(1, 10))},
    {**TIMESERIES, "series": [{"label": {}, "values": [-3, 4]}]},
]


def test_a_chart_is_drawn_as_svg_in_both_themes() -> None:
    for answer in ANSWERS:
        svg = draw_svg(draw(answer))
        assert svg.startswith("<svg")
        assert "a &lt;b&gt; &amp; c" in svg
        assert "var(--" not in svg
    light, dark = (draw_svg(draw(TIMESERIES), theme) for theme in Theme)
    assert 'fill="#ffffff"' in light
    assert 'fill="#161b22"' in dark
    bars = draw_svg(draw({**STATISTICS, "statistics": GROUPS}, Subject(STATS, STATS.groupings_by_name["size"], "NOK")))
    assert "spent total, NOK" in bars


def test_a_chart_without_figures_is_a_picture_of_a_sentence() -> None:
    assert "There is no data for" in draw_svg(draw({**TIMESERIES, "series": []}))


def test_a_chart_is_drawn_as_png() -> None:
    assert draw_png(draw(TIMESERIES)).startswith(b"\x89PNG")


def test_a_plot_is_drawn_by_notebooks_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plot = Plot(draw(TIMESERIES))
    bundle = plot._repr_mimebundle_()
    assert bundle["text/plain"] == "<chart: a <b> & c>"
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["application/vnd.vegalite.v5+json"]["vconcat"]
    for ending in ("html", "svg", "png"):
        plot.save(tmp_path / f"chart.{ending}")
        assert (tmp_path / f"chart.{ending}").stat().st_size > 1_000
    with pytest.raises(ValueError, match=r"The file is 'chart.pdf'. Allowed: .html, .svg, .png."):
        plot.save(tmp_path / "chart.pdf")
    assert "application/vnd.vegalite.v5+json" not in Plot(draw({**TIMESERIES, "series": []}))._repr_mimebundle_()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert "image/svg+xml" not in plot._repr_mimebundle_()
    with pytest.raises(MissingDependencyError, match=r"pip install 'regulars\[charts\]'"):
        plot.save(tmp_path / "chart.svg")
    plot.save(str(tmp_path / "chart.html"))


@pytest.mark.slow
def test_the_script_of_pages_is_what_vl_convert_makes() -> None:
    assert (STATIC / "vega.js").read_text() == vega_script.build_script()
