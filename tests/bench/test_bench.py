"""The benchmarks run at a tiny size, so that they never rot; what they measure there means nothing."""

from pathlib import Path

import pytest
from bench.benchmark import BENCHMARKS, Benchmark, run_benchmark

from bench import render, result

TINY = 0.001

QUICK = ("recompute", "query_planning")
LONG = ("reads", "writes", "country", "geo")


@pytest.mark.parametrize(
    "benchmark",
    [
        pytest.param(each, id=each.name, marks=[pytest.mark.long] if each.name in LONG else [])
        for each in BENCHMARKS
        if each.name in (*QUICK, *LONG)
    ],
)
def test_a_benchmark_runs_and_reports_its_targets(benchmark: Benchmark, tmp_path: Path) -> None:
    found = run_benchmark(benchmark, TINY)
    result.save(found, tmp_path)
    assert result.load_results(tmp_path) == {benchmark.name: found}
    assert all(figure.low <= figure.value <= figure.high for figure in found.figures)
    page = render.render({benchmark.name: found})
    assert found.targets
    for target in found.targets:
        assert f"{target.claim} (at 0.001 of the size: no proof) | {target.measured}" in page


def test_a_page_without_results_lists_missing_benchmarks() -> None:
    names = ", ".join(each.name for each in BENCHMARKS)
    assert f"Not run yet: {names}." in render.render({})
