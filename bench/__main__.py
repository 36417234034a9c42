"""`python -m bench [NAME...] [--scale 0.1]`: runs benchmarks, keeps what they found, writes RESULTS.md."""

import argparse
import sys
import time
from pathlib import Path

from bench import capacity, chart, result
from bench.benchmark import BENCHMARKS, run_benchmark
from bench.render import render


def main() -> int:
    """Runs what was asked for. Exit code 1 where a target was missed at full size."""
    names = [each.name for each in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures every claim of speed.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones; all by default: {', '.join(names)}")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the data against that of the targets")
    parser.add_argument("--results", type=Path, default=result.FOLDER, help="folder that keeps what was found")
    parser.add_argument("--render", action="store_true", help="only write RESULTS.md from what is kept")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: choose of {', '.join(names)}")
    met = True
    for benchmark in () if asked.render else BENCHMARKS:
        if asked.names and benchmark.name not in asked.names:
            continue
        _say(f"{benchmark.name}: {benchmark.title} ...")
        found = run_benchmark(benchmark, asked.scale)
        result.save(found, asked.results)
        for figure in found.figures:
            _say(f"  {figure.name}: {result.with_unit(figure.value, figure.unit)}")
        for target in found.targets:
            _say(f"  {'met' if target.met else 'MISSED'}: {target.claim}: {target.measured}")
            met = met and (target.met or asked.scale != 1)
        _say(f"  {found.seconds:.0f} s")
    page = asked.results.parent / "RESULTS.md"
    kept = result.load_results(asked.results)
    chart.draw(kept, page.parent / chart.FOLDER)
    page.write_text(render(kept))
    _say(f"written: {page}")
    if asked.results == result.FOLDER:
        kept = result.load_results(asked.results)
        capacity.PAGE.write_text(capacity.render_page(capacity.PAGE.read_text(), kept))
        _say(f"written: {capacity.PAGE}")
    return 0 if met else 1


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
