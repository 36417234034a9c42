"""Each benchmark has a chart of figures that it finds, and the page shows it."""

from pathlib import Path

import msgspec
import pytest
from bench.benchmark import BENCHMARKS

from bench import chart, render, result

RESULTS = result.load_results(result.FOLDER)


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_every_bar_of_a_chart_is_a_figure_of_the_last_run(name: str) -> None:
    (benchmark,) = (each for each in BENCHMARKS if each.name == name)
    drawn = benchmark.chart_figures(RESULTS[name])
    assert [each.name for each in drawn] == list(benchmark.bars)
    assert len({each.unit for each in drawn}) == 1


def test_the_page_shows_the_charts_that_are_drawn(tmp_path: Path) -> None:
    chart.draw(RESULTS, tmp_path)
    page = render.render(RESULTS)
    assert {each.stem for each in tmp_path.iterdir()} == set(RESULTS)
    for name in RESULTS:
        assert f"(charts/{name}.png)" in page
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_equal_figures_give_equal_files(tmp_path: Path) -> None:
    reads = {"reads": RESULTS["reads"]}
    chart.draw(reads, tmp_path / "first")
    chart.draw(reads, tmp_path / "again")
    assert (tmp_path / "first/reads.png").read_bytes() == (tmp_path / "again/reads.png").read_bytes()


def test_a_result_without_the_figures_of_its_chart_has_no_chart(tmp_path: Path) -> None:
    bare = {"reads": msgspec.structs.replace(RESULTS["reads"], figures=[])}
    chart.draw(bare, tmp_path)
    assert not list(tmp_path.iterdir())
    assert "charts/" not in render.render(bare)
