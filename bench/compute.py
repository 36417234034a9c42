"""All values over files on one machine, against a plain GROUP BY and against peers over the same files."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench import purchase_files, subprocess_run
from bench.environment import BenchEnvironment
from bench.equivalence import COMMON_VALUES, assert_equal_days, assert_equal_values
from bench.peers.timing import WARM_UP
from bench.purchase_files import AS_OF, CURRENCY, DESCRIPTION, ZONE, PurchaseFiles
from bench.result import Findings, format_number
from bench.size import FULL, Size
from bench.subprocess_run import HAS_PEERS_PYTHON, PEERS_PYTHON, RunCost
from regulars.aggregations.definitions import REGISTRY
from regulars.demo import cdnow

ROUNDS = 3
MAX_GROUP_BY_RATIO = 9
MIN_PANDAS_RATIO = 2.2
MIN_POLARS_RATIO = 1.6
MAX_GROWTH_RATIO = 1.5
MAX_GIB = 16

ALL_VALUES, GROUP_BY = "regulars, all values", "plain GROUP BY"
TWELVE_VALUES, POLARS, PANDAS = "regulars, 12 values", "Polars, 12 values", "pandas, 12 values"

_AS_OF = AS_OF.isoformat()


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """10 million purchases of a million profiles; then fewer, and at full size ten times as many."""
    rows = size.rows(10_000_000, 20_000)
    purchases = purchase_files.write_purchases(environment.folder / "purchases", rows, rows // 10)
    findings.describe(
        f"{rows:,} purchases of {purchases.profiles:,} profiles in Parquet, {DESCRIPTION}. Each system reads the files and "
        "writes Parquet, on all cores it uses by itself (both on DuckDB as many threads), in a process of its own for each "
        "round; starting Python, imports and a first run that warms up are not counted. The processes take turns."
    )
    findings.describe(
        f"regulars: all {len(REGISTRY.aggregations)} values, sorted by profile, of transactions, profiles and "
        f"locations. GROUP BY: DuckDB, count, sum, min and max by profile, unsorted. pandas, Polars and regulars: "
        f"12 values, spend of all time and 12 months, counts, first and last days, frequency and recency, the "
        f"favourite store, brands; pandas and Polars whole columns at a time, without "
        f"validating their input. The values of all equal to the cent, or the benchmark fails."
    )
    rounds = compare_engines(purchases, size, findings)
    _growth(environment, purchases, rounds, size, findings)
    _few_rows(environment, size, findings)
    _featuretools(environment, size, findings)
    _lifetimes(environment, size, findings)


def _run_regulars(
    purchases: Path, output: Path, *names: str, timezone: str = ZONE, currency: str = CURRENCY
) -> RunCost:
    return subprocess_run.run("on_duckdb", purchases, output, _AS_OF, timezone, currency, *names, folder=purchases)


def compare_engines(purchases: PurchaseFiles, size: Size, findings: Findings) -> list[RunCost]:
    """The engines take turns; returns the rounds of regulars. Raises AssertionError if the values of a peer are different."""
    folder = purchases.folder
    runs: dict[str, list[RunCost]] = {ALL_VALUES: [], GROUP_BY: [], TWELVE_VALUES: [], POLARS: [], PANDAS: []}
    regulars_output, subset_output = folder / "regulars.parquet", folder / "subset.parquet"
    polars, pandas = folder / "polars.parquet", folder / "pandas.parquet"
    for _ in range(size.rounds(ROUNDS)):
        runs[ALL_VALUES].append(_run_regulars(folder, regulars_output, WARM_UP))
        runs[GROUP_BY].append(subprocess_run.run("grouped", folder, folder / "grouped.parquet", WARM_UP, folder=folder))
        runs[TWELVE_VALUES].append(_run_regulars(folder, subset_output, *COMMON_VALUES, WARM_UP))
        runs[POLARS].append(subprocess_run.run("on_polars", folder, polars, _AS_OF, ZONE, WARM_UP, folder=folder))
        runs[PANDAS].append(subprocess_run.run("on_pandas", folder, pandas, _AS_OF, ZONE, WARM_UP, folder=folder))
    for output in (regulars_output, subset_output):
        for peer in (polars, pandas):
            assert_equal_values(output, peer)
    for name, rounds in runs.items():
        findings.record(name, [each.seconds for each in rounds], "s")
    for name, rounds in runs.items():
        findings.record(f"{name}: CPU", [each.cpu_seconds for each in rounds], "s")
        findings.record(f"{name}: highest memory", [each.highest_mib for each in rounds], "MiB")
    # Seconds depend on what else the machine does, CPU hardly.
    ratio = findings.record(f"{ALL_VALUES} / {GROUP_BY}: CPU", _cpu_ratios(runs[ALL_VALUES], runs[GROUP_BY]), "")
    claim = f"values of {purchases.rows:,} purchases of {purchases.profiles:,} profiles"
    findings.target_at_most(
        f"All {claim}: within {MAX_GROUP_BY_RATIO} times the CPU of a plain GROUP BY", ratio, MAX_GROUP_BY_RATIO
    )
    for name, product, least in ((PANDAS, "pandas", MIN_PANDAS_RATIO), (POLARS, "Polars", MIN_POLARS_RATIO)):
        ratio = findings.record(f"{name} / {TWELVE_VALUES}: CPU", _cpu_ratios(runs[name], runs[TWELVE_VALUES]), "")
        findings.target_at_least(f"12 {claim}: CPU of {product} at least {least} times as much", ratio, least)
    return runs[ALL_VALUES]


def _cpu_ratios(runs: Sequence[RunCost], baseline: Sequence[RunCost]) -> list[float]:
    return [one.cpu_seconds / other.cpu_seconds for one, other in zip(runs, baseline, strict=True)]


def _growth(
    environment: BenchEnvironment, medium: PurchaseFiles, rounds: Sequence[RunCost], size: Size, findings: Findings
) -> None:
    """A tenth of the rows, and at full size ten times as many."""
    fastest = min(rounds, key=lambda each: each.seconds)
    runs = [(medium.rows, fastest)]
    for rows in (medium.rows // 10, *([10 * medium.rows] if size.scale >= FULL else [])):
        purchases = purchase_files.write_purchases(environment.folder / f"purchases-{rows}", rows, rows // 10)
        runs.append((rows, _run_regulars(purchases.folder, purchases.folder / "regulars.parquet")))
    runs.sort(key=lambda each: each[0])
    findings.add_table(
        "The same computation as rows grow: the fastest round of the middle size, one round of the others",
        ("purchases", "s", "µs a purchase", "highest memory, GiB"),
        [
            (
                f"{rows:,}",
                format_number(run.seconds),
                format_number(1e6 * run.seconds / rows),
                format_number(run.highest_mib / 1024),
            )
            for rows, run in runs
        ],
    )
    if size.scale < FULL:
        findings.describe("Ten times the rows: only at full size.")
        return
    rows, largest = runs[-1]
    growth = largest.seconds / rows / (fastest.seconds / medium.rows)
    findings.target_at_most(
        f"{rows:,} purchases: the time of a purchase within {MAX_GROWTH_RATIO:g} times that among {medium.rows:,}",
        growth,
        MAX_GROWTH_RATIO,
    )
    findings.target_at_most(
        f"{rows:,} purchases: highest memory within {MAX_GIB} GiB", largest.highest_mib / 1024, MAX_GIB, "GiB"
    )


def _few_rows(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """What a computation costs however few rows there are, at any scale."""
    purchases = purchase_files.write_purchases(environment.folder / "few", 100, 10)
    for name, values in (("one value", ("spend_all",)), ("all values", ())):
        runs = [
            _run_regulars(purchases.folder, purchases.folder / "few.parquet", *values, WARM_UP)
            for _ in range(size.rounds(ROUNDS))
        ]
        findings.record(f"100 purchases, {name}: CPU", [each.cpu_seconds for each in runs], "s")


def _featuretools(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    if not HAS_PEERS_PYTHON:
        findings.describe(f"Not measured: Featuretools, for {subprocess_run.PEERS_MISSING}")
        return
    findings.describe(
        f"Featuretools ({subprocess_run.peer_versions('featuretools', 'pandas')}): its primitives count, sum, first, "
        "last, mode, "
        "num_unique, avg_time_between of all time, and count and sum of 365 days, of other such purchases, ten for "
        "each profile; its spend of all time equals that of regulars."
    )
    rows = []
    for full in (1_000, 5_000, 20_000):
        profiles = size.rows(full, full // 20)
        purchases = purchase_files.write_purchases(environment.folder / f"features-{full}", 10 * profiles, profiles)
        peer_output, regulars_output = purchases.folder / "features.parquet", purchases.folder / "regulars.parquet"
        peer = subprocess_run.run(
            "on_featuretools", purchases.folder, peer_output, _AS_OF, folder=purchases.folder, python=PEERS_PYTHON
        )
        regulars = _run_regulars(purchases.folder, regulars_output)
        assert_equal_values(regulars_output, peer_output, ("spend_all",))
        ratio = peer.seconds / regulars.seconds
        rows.append(
            (f"{profiles:,}", format_number(peer.seconds), format_number(regulars.seconds), format_number(ratio))
        )
    findings.add_table(
        "Featuretools as profiles grow", ("profiles", "Featuretools, s", f"{ALL_VALUES}, s", "ratio"), rows
    )


def _lifetimes(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """The CDNOW data set, at any scale."""
    if not HAS_PEERS_PYTHON:
        findings.describe(f"Not measured: lifetimes, for {subprocess_run.PEERS_MISSING}")
        return
    folder = environment.folder / "cdnow"
    _write_cdnow(folder)
    findings.describe(
        f"CDNOW, 69,659 purchases of 23,570 customers, whole at any scale: {subprocess_run.peer_versions('lifetimes', 'pandas')} "
        "make frequency, recency, age and monetary value of each customer, regulars all values. Where no purchase "
        "was free, the number of days and the time from the first to the last agree."
    )
    peer_output, regulars_output = folder / "summary.parquet", folder / "regulars.parquet"
    runs: dict[str, list[RunCost]] = {"lifetimes": [], "regulars": []}
    for _ in range(size.rounds(ROUNDS)):
        until = AS_OF.date().isoformat()
        runs["lifetimes"].append(
            subprocess_run.run("on_lifetimes", folder, peer_output, until, folder=folder, python=PEERS_PYTHON)
        )
        runs["regulars"].append(_run_regulars(folder, regulars_output, timezone="UTC", currency=cdnow.CURRENCY))
    assert_equal_days(folder / "transactions.parquet", regulars_output, peer_output)
    findings.record("CDNOW: lifetimes, 4 values", [each.seconds for each in runs["lifetimes"]], "s")
    findings.record(f"CDNOW: {ALL_VALUES}", [each.seconds for each in runs["regulars"]], "s")


def _write_cdnow(folder: Path) -> None:
    folder.mkdir()
    transactions = pa.Table.from_pylist(
        [
            {name: each[name] for name in ("external_id", "profile", "transacted_at", "total", "currency")}
            for each in cdnow.transactions()
        ]
    )
    instants = transactions["transacted_at"].cast(pa.timestamp("us", "UTC"))
    transactions = transactions.set_column(transactions.column_names.index("transacted_at"), "transacted_at", instants)
    pq.write_table(transactions, folder / "transactions.parquet")
    members = [{"external_id": each["external_id"], "joined_at": each["joined_at"]} for each in cdnow.profiles()]
    pq.write_table(pa.Table.from_pylist(members), folder / "profiles.parquet")
    pq.write_table(pa.table({"external_id": pa.array([], pa.string())}), folder / "locations.parquet")
