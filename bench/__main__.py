"""`python -m bench [NAME...] [--scale 0.1] [--against REF]`: runs benchmarks, stores their results and writes RESULTS.md."""

import argparse
import sys
import time
from pathlib import Path

from bench import against, capacity, chart, result, roadmap
from bench.benchmark import BENCHMARKS, run_benchmark
from bench.render import render
from bench.result import Result
from regulars.core.garbage_collection import collect_less_often


def main() -> int:
    """Runs the selected benchmarks. Returns exit code 1 if a target was missed at full size."""
    names = [each.name for each in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures every claim of speed.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"benchmarks to run (default: all): {', '.join(names)}"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="size of the data relative to that of the targets")
    parser.add_argument("--results", type=Path, default=result.FOLDER, help="folder of the results")
    parser.add_argument(
        "--against", metavar="REF", help="compare with this commit: both take turns; ratios are printed and stored"
    )
    parser.add_argument("--rounds", type=int, default=3, help="with --against: runs of each commit (default: 3)")
    parser.add_argument("--render", action="store_true", help="only write RESULTS.md from the stored results")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}. Allowed: {', '.join(names)}")
    if arguments.against:
        if not arguments.names:
            parser.error("--against needs the names of benchmarks")
        return _compare(arguments)
    # As in every process of the product.
    collect_less_often()
    met = True
    for benchmark in () if arguments.render else BENCHMARKS:
        if arguments.names and benchmark.name not in arguments.names:
            continue
        _log(f"{benchmark.name}: {benchmark.title} ...")
        met = _store(run_benchmark(benchmark, arguments.scale), arguments) and met
    _write_pages(arguments)
    return 0 if met else 1


def _store(benchmark_result: Result, arguments: argparse.Namespace) -> bool:
    """Stores and prints a result. Returns whether no target was missed at full size."""
    result.save(benchmark_result, arguments.results)
    for figure in benchmark_result.figures:
        _log(f"  {figure.name}: {result.with_unit(figure.value, figure.unit)}")
    for target in benchmark_result.targets:
        _log(f"  {'met' if target.met else 'MISSED'}: {target.claim}: {target.measured}")
    _log(f"  {benchmark_result.seconds:.0f} s")
    return arguments.scale != 1 or all(each.met for each in benchmark_result.targets)


def _write_pages(arguments: argparse.Namespace) -> None:
    """Writes what is shown of the stored results."""
    page = arguments.results.parent / "RESULTS.md"
    results = result.load_results(arguments.results)
    chart.draw(results, page.parent / chart.FOLDER)
    page.write_text(render(results, against.load_comparisons(arguments.results)))
    _log(f"written: {page}")
    if arguments.results == result.FOLDER:
        results = result.load_results(arguments.results)
        capacity.PAGE.write_text(capacity.render_page(capacity.PAGE.read_text(), results))
        _log(f"written: {capacity.PAGE}")
        roadmap.write()
        _log(f"written: {roadmap.ROADMAP}")


def _compare(arguments: argparse.Namespace) -> int:
    """Prints and stores the figures of this checkout and of another commit, with their ratios.

    Returns exit code 1 if they can't be measured.
    """
    try:
        old = against.build(arguments.against)
        for benchmark in (each for each in BENCHMARKS if each.name in arguments.names):
            _log(f"{benchmark.name} against {old.name} ...")
            comparison, last = against.measure(benchmark, old, against.here(), arguments.scale, arguments.rounds)
            against.save(comparison, arguments.results)
            _store(last, arguments)
            print(against.render(comparison), flush=True)
    except against.AgainstError as error:
        _log(str(error))
        return 1
    _write_pages(arguments)
    return 0


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
