"""Comparison of two commits by a benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.against import AgainstError, Build, Comparison, build, compare, here, load_comparisons, name_in, save
from bench.benchmark import BENCHMARKS
from bench.render import render
from bench.result import Figure, Machine, Result

MACHINE = Machine("cpu", 2, 1.0, "Linux", {}, {})


def run_with(**figures: float) -> Result:
    """A result with these figures."""
    return Result(
        name="reads",
        title="Reads",
        command="",
        scale=1,
        began="",
        seconds=1,
        machine=MACHINE,
        figures=[Figure(name, value, "µs", value, value, 1) for name, value in figures.items()],
    )


def test_ratios_are_of_medians_with_the_range_of_the_pairs(tmp_path: Path) -> None:
    old = [run_with(read=100, gone=1, zero=0), run_with(read=200, gone=1, zero=0), run_with(read=110, gone=1, zero=0)]
    new = [run_with(read=50, added=1, zero=1), run_with(read=60, added=1, zero=1), run_with(read=55, added=1, zero=1)]
    (ratio,) = compare(old, new)
    assert (ratio.name, ratio.old, ratio.new, ratio.value, ratio.low, ratio.high) == ("read", 110, 55, 0.5, 0.3, 0.5)
    comparison = Comparison(
        name="reads", commit="abc", scale=0.1, rounds=3, began="2026-12-02", load=(0.5, 2.0), ratios=[ratio]
    )
    save(comparison, tmp_path)
    page = render({"reads": old[0]}, load_comparisons(tmp_path))
    assert "commit abc, 3 runs each in turns at 0.1 of the size, 2026-12-02, load of the machine 0.5 to 2.0:" in page
    assert "| read | 110 µs | 55 µs | 0.50 | 0.30 to 0.50 |" in page


def test_a_benchmark_has_its_former_name_in_commits_without_the_present_one(tmp_path: Path) -> None:
    (member_joins,) = (each for each in BENCHMARKS if each.name == "member_joins")
    former = Build("abc", tmp_path, Path(sys.executable))
    assert name_in(member_joins, former) == "joins"
    assert name_in(member_joins, here()) == "member_joins"


def test_an_unknown_commit_is_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(AgainstError, match="'nothing' is not a commit"):
        build("nothing", tmp_path, tmp_path / "builds")
