"""Draws a bar chart for each benchmark from its stored results."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from bench.benchmark import BENCHMARKS
from bench.result import Figure, Result, with_unit

FOLDER = "charts"

_INCH_A_BAR = 0.34
_COLOUR = "#2a6f97"


def draw(results: dict[str, Result], folder: Path) -> None:
    """Writes a PNG file for each result with figures of its chart."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in BENCHMARKS:
        if each.name in results and (bars := each.chart_figures(results[each.name])):
            _draw(each.title, bars, folder / f"{each.name}.png")


def _draw(title: str, bars: Sequence[Figure], path: Path) -> None:
    canvas = Drawing(figsize=(8, 1.1 + _INCH_A_BAR * len(bars)), layout="constrained")
    axes = canvas.subplots()
    medians = [each.value for each in bars]
    spread = [[each.value - each.low for each in bars], [each.high - each.value for each in bars]]
    bar_container = axes.barh([each.name for each in bars], medians, xerr=spread, color=_COLOUR, height=0.62, capsize=2)
    axes.bar_label(bar_container, [with_unit(each.value, "") for each in bars], padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(each.high for each in bars))
    axes.set_title(title, loc="left")
    axes.set_xlabel(bars[0].unit)
    axes.spines[["top", "right"]].set_visible(False)
    # Without software name and time, so that equal figures produce equal files.
    canvas.savefig(path, dpi=110, metadata={"Software": None})
