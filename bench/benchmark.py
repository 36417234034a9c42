"""The benchmarks by name."""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.machine import machine
from bench.place import Place, place
from bench.result import Findings, Result
from bench.size import FULL, Size

Run = Callable[[Place, Size, Findings], None]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: the module of its name has `run(where, size, findings)`."""

    name: str
    title: str

    @property
    def run(self) -> Run:
        """What it does."""
        found: Run = importlib.import_module(f"bench.{self.name}").run
        return found


BENCHMARKS = (
    Benchmark("reads", "Reading a profile's values"),
    Benchmark("writes", "Single writes"),
    Benchmark("bulk", "Bulk writes, by stage"),
    Benchmark("cold", "Bulk writes with cold caches"),
    Benchmark("recompute", "Full recompute"),
    Benchmark("growth", "The cost of a write as the table grows"),
    Benchmark("hot", "A profile with very many transactions"),
    Benchmark("country", "A fact that very many profiles share"),
    Benchmark("memory", "Memory while rows stream in"),
)


def measured(benchmark: Benchmark, scale: float) -> Result:
    """Runs a benchmark once."""
    began, start = datetime.now(UTC), time.monotonic()
    findings = Findings()
    with place() as where:
        on = machine(where.owner_url)
        benchmark.run(where, Size(scale), findings)
    seconds = time.monotonic() - start
    return Result(
        name=benchmark.name,
        title=benchmark.title,
        command=f"python -m bench {benchmark.name}" + (f" --scale {scale:g}" if scale != FULL else ""),
        scale=scale,
        began=began.isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        machine=on,
        how=findings.how,
        figures=findings.figures,
        targets=findings.targets,
        tables=findings.tables,
    )
