"""`--against REF`: a benchmark of this commit and of another one take turns; the figures are the ratios of the two."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import result
from bench.benchmark import Benchmark
from bench.result import Result

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv" / "against"
"""Where other commits are checked out, each with an environment of its own."""

_STORED = "against"
"""The folder of comparisons, within that of the results."""


class AgainstError(RuntimeError):
    """The other commit can't be measured. The message says why."""


@dataclass(frozen=True)
class Build:
    """A commit with the Python of an environment in which it is installed."""

    name: str
    checkout: Path
    python: Path


class Ratio(msgspec.Struct, frozen=True):
    """A figure of both commits: medians, and new divided by old with the lowest and highest of the pairs of runs."""

    name: str
    unit: str
    old: float
    new: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Turn:
    """One run of a benchmark, and the load of the machine when it began and ended."""

    result: Result
    load: tuple[float, float]


class Comparison(msgspec.Struct, kw_only=True):
    """The last comparison of a benchmark with another commit."""

    name: str
    commit: str
    scale: float
    rounds: int
    began: str
    load: tuple[float, float]
    """The lowest and the highest load of the machine."""
    ratios: list[Ratio]


def build(ref: str, root: Path = ROOT, folder: Path = FOLDER) -> Build:
    """Checks a commit out and installs it in an environment of its own, unless that was done before.

    Raises AgainstError for an unknown commit and one that can't be installed.
    """
    commit = _run(["git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"], root).strip()
    if not commit:
        raise AgainstError(f"{ref!r} is not a commit of this repository.")
    build_folder = folder / commit[:12]
    checkout, python = build_folder / "checkout", build_folder / "venv" / "bin" / "python"
    if not (build_folder / "built").exists():
        if not checkout.exists():
            _require(["git", "worktree", "add", "--detach", str(checkout), commit], root)
        _require([sys.executable, "-m", "venv", str(build_folder / "venv")], root)
        _require([str(python), "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1"], checkout)
        _require([str(python), "-m", "pip", "install", "--quiet", "--editable", ".", "--group", "test"], checkout)
        (build_folder / "built").touch()
    return Build(commit[:12], checkout, python)


def here() -> Build:
    """This checkout, as it is."""
    return Build("this", ROOT, Path(sys.executable))


def measure(benchmark: Benchmark, old: Build, new: Build, scale: float, rounds: int) -> tuple[Comparison, Result]:
    """Runs a benchmark of both builds that many times each, in the order old, new, new, old, old, new ...

    Returns the comparison, and the last result of the new build.
    """
    began = datetime.now(UTC).isoformat(timespec="seconds")
    turns: dict[Build, list[Turn]] = {old: [], new: []}
    for number in range(rounds):
        for each in (old, new) if number % 2 == 0 else (new, old):
            turns[each].append(_turn(name_in(benchmark, each), each, scale))
    loads = [load for runs in turns.values() for turn in runs for load in turn.load]
    ratios = compare([each.result for each in turns[old]], [each.result for each in turns[new]])
    comparison = Comparison(
        name=benchmark.name,
        commit=old.name,
        scale=scale,
        rounds=rounds,
        began=began,
        load=(min(loads), max(loads)),
        ratios=ratios,
    )
    return comparison, turns[new][-1].result


def name_in(benchmark: Benchmark, build: Build) -> str:
    """The name of a benchmark in a commit."""
    has_name = (build.checkout / "bench" / f"{benchmark.name}.py").exists()
    return benchmark.name if has_name or not benchmark.former_name else benchmark.former_name


def _turn(name: str, build: Build, scale: float) -> Turn:
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        command = [str(build.python), "-m", "bench", name, "--scale", f"{scale:g}", "--results", str(results)]
        # A missed target is exit code 1 and no failure of the run.
        completed = subprocess.run(command, cwd=build.checkout, capture_output=True, text=True, env=_environment(build))
        stored = result.load_results(results) if results.exists() else {}
    if name not in stored:
        raise AgainstError(f"{name} at {build.name} has no result: {(completed.stderr or completed.stdout)[-2000:]}")
    return Turn(stored[name], (before, os.getloadavg()[0]))


def _environment(build: Build) -> dict[str, str]:
    """Without a path to another checkout."""
    return {**os.environ, "PYTHONPATH": f"{build.checkout}:{build.checkout / 'src'}"}


def compare(old: Sequence[Result], new: Sequence[Result]) -> list[Ratio]:
    """The figures that every run of both commits has, in the order of the new one. Figures that are 0 have no ratio."""
    values = [{each.name: each.value for each in run.figures} for run in (*old, *new)]
    common = set.intersection(*(set(each) for each in values))
    olds, news = values[: len(old)], values[len(old) :]
    ratios = []
    for figure in new[0].figures:
        if figure.name in common and all(each[figure.name] for each in olds):
            before = [each[figure.name] for each in olds]
            after = [each[figure.name] for each in news]
            pairs = [b / a for a, b in zip(before, after, strict=True)]
            median_before, median_after = statistics.median(before), statistics.median(after)
            ratios.append(
                Ratio(
                    figure.name,
                    figure.unit,
                    median_before,
                    median_after,
                    median_after / median_before,
                    min(pairs),
                    max(pairs),
                )
            )
    return ratios


def render(comparison: Comparison) -> str:
    """The comparison as a table in Markdown, with the range of the machine's load."""
    low, high = comparison.load
    runs = f"{comparison.rounds} runs each in turns at {comparison.scale:g} of the size"
    lines = [
        f"Against commit {comparison.commit}, {runs}, {comparison.began}, load of the machine {low:.1f} to {high:.1f}:",
        "",
        "| figure | old | new | new / old | pairs |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {each.name} | {result.with_unit(each.old, each.unit)} | {result.with_unit(each.new, each.unit)} "
            f"| {each.value:.2f} | {each.low:.2f} to {each.high:.2f} |"
            for each in comparison.ratios
        ),
    ]
    return "\n".join(lines) + "\n"


def save(comparison: Comparison, results: Path) -> None:
    """Stores a comparison as the last one of its benchmark, in a folder beside the results."""
    folder = results / _STORED
    folder.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.format(msgspec.json.encode(comparison), indent=2)
    (folder / f"{comparison.name}.json").write_bytes(content + b"\n")


def load_comparisons(results: Path) -> dict[str, Comparison]:
    """The last comparison of each benchmark, by name."""
    files = sorted((results / _STORED).glob("*.json"))
    comparisons = [msgspec.json.decode(each.read_bytes(), type=Comparison) for each in files]
    return {each.name: each for each in comparisons}


def _run(command: Sequence[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def _require(command: Sequence[str], folder: Path) -> None:
    completed = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if completed.returncode:
        raise AgainstError(f"`{' '.join(command)}` failed: {completed.stderr[-2000:]}")
