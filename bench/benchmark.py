"""The benchmarks by name."""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.environment import BenchEnvironment, bench_environment
from bench.machine import machine
from bench.result import Figure, Findings, Result
from bench.size import FULL, Size

RunFunction = Callable[[BenchEnvironment, Size, Findings], None]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: the module of its name has `run(environment, size, findings)`.

    `bars` names the figures of its chart. Earlier commits have it by `former_name`.
    """

    name: str
    title: str
    bars: tuple[str, ...] = ()
    former_name: str = ""

    @property
    def run(self) -> RunFunction:
        """The function that runs it."""
        function: RunFunction = importlib.import_module(f"bench.{self.name}").run
        return function

    def chart_figures(self, result: Result) -> list[Figure]:
        """The figures of its chart that a result contains, in order."""
        figures_by_name = {each.name: each for each in result.figures}
        return [figures_by_name[name] for name in self.bars if name in figures_by_name]


_CASES = tuple(f"{n}{hot}" for n in ("1 process", "4 processes") for hot in ("", ", 50 hot profiles"))
_SIDES = tuple(
    f"{case}, {side}" for case in ("single, 64 clients", "batches of 50, 1 client") for side in ("small", "large")
)

BENCHMARKS = (
    Benchmark(
        "reads",
        "Reading a profile's values",
        tuple(f"{route}, {n}" for n in ("1 worker", "2 workers") for route in ("empty route", "GET aggregations")),
    ),
    Benchmark(
        "writes",
        "Single writes",
        tuple(f"{contender}, {case}" for case in _CASES for contender in ("product", "naive")),
    ),
    Benchmark(
        "bulk",
        "Bulk writes, by stage",
        ("import, no lines", "import, two lines each", "batch.json of 500, two lines each, 4 clients"),
    ),
    Benchmark(
        "history",
        "Years of history",
        ("plain COPY, without values", "regulars load, with values", "batch by batch, with values"),
    ),
    Benchmark(
        "members",
        "Members of years from a file",
        (
            "plain COPY, nothing derived",
            "regulars load, all reports true",
            "batch by batch, all reports true",
        ),
    ),
    Benchmark(
        "events",
        "Events of sendings",
        (
            "history of one sending with a tenth of the events, p95",
            "history of one sending with all events, p95",
        ),
    ),
    Benchmark(
        "links",
        "Visits of links",
        tuple(
            f"different visitors of a year, {query}, p95"
            for query in (
                "of all links",
                "by host",
                "by source",
                "of a campaign",
                "of one sending",
                "of half of the paths",
                "of all links, by month",
                "of all links, by week",
            )
        ),
    ),
    Benchmark(
        "offers",
        "Events of offers",
        (
            "history of one offer with a fifth of the events, p95",
            "history of one offer with all events, p95",
            "statistics of one offer, a week, p95",
            "statistics of a collection, a week, p95",
        ),
    ),
    Benchmark(
        "cold_cache",
        "Bulk writes with cold caches",
        ("import, two lines each, cold", "import, two lines each, warm"),
        former_name="cold",
    ),
    Benchmark(
        "recompute",
        "Full recompute",
        tuple(f"{contender}, {n}" for n in ("1 core", "2 cores") for contender in ("plain GROUP BY", "full recompute")),
    ),
    Benchmark(
        "growth",
        "The cost of a write as the table grows",
        tuple(f"{side}: CPU" for side in _SIDES),
    ),
    Benchmark(
        "partitions",
        "Tables in parts by a hash of the profile",
        tuple(
            f"{case} of 1,000, {layout}"
            for case in ("insert", "refresh")
            for layout in ("one table", "8 parts", "32 parts")
        ),
    ),
    Benchmark(
        "large_profile",
        "A profile with very many transactions",
        (
            "write of the large profile, p50",
            "writes of others, p99",
            "writes of others among writes of the large profile, p99",
        ),
        former_name="hot",
    ),
    Benchmark(
        "country",
        "A fact that very many profiles share",
        (
            "PUT of the country",
            "first read of a profile after it",
            "reads at 100 a second while the refresh job works, p99",
        ),
    ),
    Benchmark(
        "memory",
        "Memory while rows stream in",
        (
            "resident memory of a worker before",
            *(f"larger worker, {part} quarters of the way" for part in range(4)),
            "highest of a worker",
        ),
    ),
    Benchmark(
        "segments",
        "Ad-hoc counts of members, four concurrent clients",
        tuple(
            f"{kind}: {backend}, p95"
            for kind in ("two scalars", "range and scalar", "array and consent", "or")
            for backend in ("copy", "PostgreSQL", "PostgreSQL, narrow table")
        ),
    ),
    Benchmark(
        "counts",
        "Counts of groups, and the balance of members",
        (
            "members_grouped_count, few members",
            "members_grouped_count, many members",
            "GROUP BY over one field, PostgreSQL, many members",
            "GROUP BY over one field, DuckDB, many members",
            "GROUP BY over all groups, PostgreSQL, many members",
            "GROUP BY over all groups, DuckDB, many members",
        ),
    ),
    Benchmark(
        "member_joins",
        "Members who join, in batches",
        tuple(f"{n} writer{'s' if n > 1 else ''}" for n in (1, 4, 8)),
        former_name="joins",
    ),
    Benchmark(
        "segment_memberships",
        "Memberships of segments in the commit of a purchase",
        tuple(f"{noun}, {n} segments" for noun in ("1 purchase", "50 purchases") for n in (0, 10, 100)),
    ),
    Benchmark(
        "compute",
        "All values over files",
        ("regulars, all values", "plain GROUP BY", "regulars, 12 values", "Polars, 12 values", "pandas, 12 values"),
    ),
    Benchmark(
        "pages",
        "Pages for people, beside purchases",
        ("a purchase, alone: p99", "a purchase beside pages: p99", "a page beside purchases: p50"),
    ),
    Benchmark("lake", "All values on Spark", ("DuckDB", "Spark, 1 executor", "Spark, 2 executors")),
    Benchmark(
        "query_planning",
        "Planning a request for a report",
        tuple(
            f"{case}, known"
            for case in (
                *("no filter", "one comparison", "a comparison of each kind"),
                *("10 levels, 100 nodes", "a list of 1,000 values"),
            )
        ),
        former_name="planning",
    ),
    Benchmark(
        "exports",
        "Exports of members",
        ("csv", "ndjson", "parquet", "arrow", "xlsx", "pages of 10,000, csv of Python"),
    ),
    Benchmark("webhooks", "Webhooks", ("product, sending", "naive, sending")),
    Benchmark("geo", "Finding towns", ("search, p50", "search, p95")),
    Benchmark(
        "feast",
        "Live values, against a feature store",
        (
            "reads: bare read",
            *(
                f"{kind}: {contender}"
                for kind in ("reads", "writes")
                for contender in ("regulars", "Feast on SQLite", "Feast on PostgreSQL")
            ),
        ),
    ),
)


def run_benchmark(benchmark: Benchmark, scale: float) -> Result:
    """Runs a benchmark."""
    began, start = datetime.now(UTC), time.monotonic()
    findings = Findings()
    with bench_environment() as environment:
        on = machine(environment.owner_url)
        benchmark.run(environment, Size(scale), findings)
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
