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
GROUPED_MOST = 9
PANDAS_LEAST = 2.2
POLARS_LEAST = 1.6
GROWTH_MOST = 1.5
GIB_MOST = 16

OURS, GROUPED = "regulars, all values", "plain GROUP BY"
OURS_OF_12, POLARS, PANDAS = "regulars, 12 values", "Polars, 12 values", "pandas, 12 values"

_AT = AS_OF.isoformat()


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
    ours = race(purchases, size, findings)
    _growth(environment, purchases, ours, size, findings)
    _few_rows(environment, size, findings)
    _featuretools(environment, size, findings)
    _lifetimes(environment, size, findings)


def _ours(purchases: Path, output: Path, *names: str, timezone: str = ZONE, currency: str = CURRENCY) -> RunCost:
    return subprocess_run.run("on_duckdb", purchases, output, _AT, timezone, currency, *names, folder=purchases)


def race(purchases: PurchaseFiles, size: Size, findings: Findings) -> list[RunCost]:
    """The systems take turns; gives our rounds. Raises AssertionError where a peer's values are not ours."""
    folder = purchases.folder
    ran: dict[str, list[RunCost]] = {OURS: [], GROUPED: [], OURS_OF_12: [], POLARS: [], PANDAS: []}
    our_output, some = folder / "ours.parquet", folder / "some.parquet"
    polars, pandas = folder / "polars.parquet", folder / "pandas.parquet"
    for _ in range(size.rounds(ROUNDS)):
        ran[OURS].append(_ours(folder, our_output, WARM_UP))
        ran[GROUPED].append(subprocess_run.run("grouped", folder, folder / "grouped.parquet", WARM_UP, folder=folder))
        ran[OURS_OF_12].append(_ours(folder, some, *COMMON_VALUES, WARM_UP))
        ran[POLARS].append(subprocess_run.run("on_polars", folder, polars, _AT, ZONE, WARM_UP, folder=folder))
        ran[PANDAS].append(subprocess_run.run("on_pandas", folder, pandas, _AT, ZONE, WARM_UP, folder=folder))
    for ours in (our_output, some):
        for peer in (polars, pandas):
            assert_equal_values(ours, peer)
    for name, rounds in ran.items():
        findings.record(name, [each.seconds for each in rounds], "s")
    for name, rounds in ran.items():
        findings.record(f"{name}: CPU", [each.cpu_seconds for each in rounds], "s")
        findings.record(f"{name}: highest memory", [each.highest_mib for each in rounds], "MiB")
    # Seconds depend on what else the machine does, CPU hardly.
    ratio = findings.record(f"{OURS} / {GROUPED}: CPU", _cpu_ratios(ran[OURS], ran[GROUPED]), "")
    claim = f"values of {purchases.rows:,} purchases of {purchases.profiles:,} profiles"
    findings.target_at_most(
        f"All {claim}: within {GROUPED_MOST} times the CPU of a plain GROUP BY", ratio, GROUPED_MOST
    )
    for name, product, least in ((PANDAS, "pandas", PANDAS_LEAST), (POLARS, "Polars", POLARS_LEAST)):
        ratio = findings.record(f"{name} / {OURS_OF_12}: CPU", _cpu_ratios(ran[name], ran[OURS_OF_12]), "")
        findings.target_at_least(f"12 {claim}: CPU of {product} at least {least} times as much", ratio, least)
    return ran[OURS]


def _cpu_ratios(some: Sequence[RunCost], others: Sequence[RunCost]) -> list[float]:
    return [one.cpu_seconds / other.cpu_seconds for one, other in zip(some, others, strict=True)]


def _growth(
    environment: BenchEnvironment, middle: PurchaseFiles, ours: Sequence[RunCost], size: Size, findings: Findings
) -> None:
    """A tenth of the rows, and at full size ten times as many."""
    fastest = min(ours, key=lambda each: each.seconds)
    runs = [(middle.rows, fastest)]
    for rows in (middle.rows // 10, *([10 * middle.rows] if size.scale >= FULL else [])):
        purchases = purchase_files.write_purchases(environment.folder / f"purchases-{rows}", rows, rows // 10)
        runs.append((rows, _ours(purchases.folder, purchases.folder / "ours.parquet")))
    runs.sort(key=lambda each: each[0])
    findings.add_table(
        "The same computation as rows grow: the fastest round of the middle size, one round of the others",
        ("purchases", "s", "µs a purchase", "highest memory, GiB"),
        [
            (
                f"{rows:,}",
                format_number(ran.seconds),
                format_number(1e6 * ran.seconds / rows),
                format_number(ran.highest_mib / 1024),
            )
            for rows, ran in runs
        ],
    )
    if size.scale < FULL:
        findings.describe("Ten times the rows: only at full size.")
        return
    rows, largest = runs[-1]
    growth = largest.seconds / rows / (fastest.seconds / middle.rows)
    findings.target_at_most(
        f"{rows:,} purchases: the time of a purchase within {GROWTH_MOST:g} times that among {middle.rows:,}",
        growth,
        GROWTH_MOST,
    )
    findings.target_at_most(
        f"{rows:,} purchases: highest memory within {GIB_MOST} GiB", largest.highest_mib / 1024, GIB_MOST, "GiB"
    )


def _few_rows(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """What a computation costs however few rows there are, at any scale."""
    purchases = purchase_files.write_purchases(environment.folder / "few", 100, 10)
    for name, values in (("one value", ("spend_all",)), ("all values", ())):
        ran = [
            _ours(purchases.folder, purchases.folder / "few.parquet", *values, WARM_UP)
            for _ in range(size.rounds(ROUNDS))
        ]
        findings.record(f"100 purchases, {name}: CPU", [each.cpu_seconds for each in ran], "s")


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
        peer_output, our_output = purchases.folder / "features.parquet", purchases.folder / "ours.parquet"
        peer = subprocess_run.run(
            "on_featuretools", purchases.folder, peer_output, _AT, folder=purchases.folder, python=PEERS_PYTHON
        )
        ran = _ours(purchases.folder, our_output)
        assert_equal_values(our_output, peer_output, ("spend_all",))
        ratio = peer.seconds / ran.seconds
        rows.append((f"{profiles:,}", format_number(peer.seconds), format_number(ran.seconds), format_number(ratio)))
    findings.add_table("Featuretools as profiles grow", ("profiles", "Featuretools, s", f"{OURS}, s", "ratio"), rows)


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
    peer_output, our_output = folder / "summary.parquet", folder / "ours.parquet"
    ran: dict[str, list[RunCost]] = {"lifetimes": [], "regulars": []}
    for _ in range(size.rounds(ROUNDS)):
        until = AS_OF.date().isoformat()
        ran["lifetimes"].append(
            subprocess_run.run("on_lifetimes", folder, peer_output, until, folder=folder, python=PEERS_PYTHON)
        )
        ran["regulars"].append(_ours(folder, our_output, timezone="UTC", currency=cdnow.CURRENCY))
    assert_equal_days(folder / "transactions.parquet", our_output, peer_output)
    findings.record("CDNOW: lifetimes, 4 values", [each.seconds for each in ran["lifetimes"]], "s")
    findings.record(f"CDNOW: {OURS}", [each.seconds for each in ran["regulars"]], "s")


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
