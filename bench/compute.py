"""All values over files on one machine, against a plain GROUP BY and against peers over the same files."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench import child, purchases
from bench.agreement import SUBSET, agreed, same_days
from bench.child import APART, HAS_APART, Ran
from bench.place import Place
from bench.purchases import AS_OF, CURRENCY, DESCRIBED, ZONE, Purchases
from bench.result import Findings, number
from bench.size import FULL, Size
from regulars.aggregations.definitions import REGISTRY
from regulars.demo import cdnow

ROUNDS = 3
GROUPED_MOST = 8
PANDAS_LEAST = 5
GROWTH_MOST = 1.5
GIB_MOST = 16

OURS, GROUPED = "regulars, all values", "plain GROUP BY"
OURS_OF_12, POLARS, PANDAS = "regulars, 12 values", "Polars, 12 values", "pandas, 12 values"

_AT = AS_OF.isoformat()


def run(where: Place, size: Size, findings: Findings) -> None:
    """10 million purchases of a million profiles; then fewer, and at full size ten times as many."""
    rows = size.rows(10_000_000, 20_000)
    given = purchases.made(where.folder / "purchases", rows, rows // 10)
    findings.did(
        f"{rows:,} purchases of {given.profiles:,} profiles in Parquet, {DESCRIBED}. Each system reads the files and "
        f"writes Parquet, on all cores it uses by itself, in a process of its own for each round; starting Python and "
        f"imports are not counted. The processes take turns."
    )
    findings.did(
        f"regulars: all {len(REGISTRY.aggregations)} values, sorted by profile, of transactions, profiles and "
        f"locations. GROUP BY: DuckDB, count, sum, min and max by profile, unsorted. pandas, Polars and regulars: "
        f"12 values, spend of all time and 12 months, counts, first and last days, frequency and recency, the "
        f"favourite store, brands; pandas and Polars whole columns at a time, without a check of what they "
        f"are given. The values of all equal to the cent, or the benchmark fails."
    )
    ours = race(given, size, findings)
    _growth(where, given, ours, size, findings)
    _featuretools(where, size, findings)
    _lifetimes(where, size, findings)


def _ours(given: Path, output: Path, *names: str, timezone: str = ZONE, currency: str = CURRENCY) -> Ran:
    return child.run("on_duckdb", given, output, _AT, timezone, currency, *names, folder=given)


def race(given: Purchases, size: Size, findings: Findings) -> list[Ran]:
    """The systems take turns; gives our rounds. Raises AssertionError where a peer's values are not ours."""
    folder = given.folder
    ran: dict[str, list[Ran]] = {OURS: [], GROUPED: [], OURS_OF_12: [], POLARS: [], PANDAS: []}
    own, some = folder / "ours.parquet", folder / "some.parquet"
    polars, pandas = folder / "polars.parquet", folder / "pandas.parquet"
    for _ in range(size.rounds(ROUNDS)):
        ran[OURS].append(_ours(folder, own))
        ran[GROUPED].append(child.run("grouped", folder, folder / "grouped.parquet", folder=folder))
        ran[OURS_OF_12].append(_ours(folder, some, *SUBSET))
        ran[POLARS].append(child.run("on_polars", folder, polars, _AT, ZONE, folder=folder))
        ran[PANDAS].append(child.run("on_pandas", folder, pandas, _AT, ZONE, folder=folder))
    for ours in (own, some):
        for peer in (polars, pandas):
            agreed(ours, peer)
    for name, rounds in ran.items():
        findings.found(name, [each.seconds for each in rounds], "s")
    for name, rounds in ran.items():
        findings.found(f"{name}: CPU", [each.cpu_seconds for each in rounds], "s")
        findings.found(f"{name}: highest memory", [each.highest_mib for each in rounds], "MiB")
    claim = f"All values of {given.rows:,} purchases of {given.profiles:,} profiles"
    ratio = findings.found(f"{OURS} / {GROUPED}", _ratios(ran[OURS], ran[GROUPED]), "")
    findings.at_most(f"{claim}: within {GROUPED_MOST} times a plain GROUP BY", ratio, GROUPED_MOST)
    findings.found(f"{OURS} / {GROUPED}: CPU", _cpu_ratios(ran[OURS], ran[GROUPED]), "")
    findings.found(f"{POLARS} / {OURS_OF_12}", _ratios(ran[POLARS], ran[OURS_OF_12]), "")
    ratio = findings.found(f"{PANDAS} / {OURS_OF_12}", _ratios(ran[PANDAS], ran[OURS_OF_12]), "")
    findings.found(f"{PANDAS} / {OURS_OF_12}: CPU", _cpu_ratios(ran[PANDAS], ran[OURS_OF_12]), "")
    claim = f"12 values of {given.rows:,} purchases of {given.profiles:,} profiles"
    findings.at_least(f"{claim}: at least {PANDAS_LEAST} times as fast as pandas", ratio, PANDAS_LEAST)
    return ran[OURS]


def _ratios(some: Sequence[Ran], others: Sequence[Ran]) -> list[float]:
    return [one.seconds / other.seconds for one, other in zip(some, others, strict=True)]


def _cpu_ratios(some: Sequence[Ran], others: Sequence[Ran]) -> list[float]:
    return [one.cpu_seconds / other.cpu_seconds for one, other in zip(some, others, strict=True)]


def _growth(where: Place, middle: Purchases, ours: Sequence[Ran], size: Size, findings: Findings) -> None:
    """A tenth of the rows, and at full size ten times as many."""
    fastest = min(ours, key=lambda each: each.seconds)
    found = [(middle.rows, fastest)]
    for rows in (middle.rows // 10, *([10 * middle.rows] if size.scale >= FULL else [])):
        given = purchases.made(where.folder / f"purchases-{rows}", rows, rows // 10)
        found.append((rows, _ours(given.folder, given.folder / "ours.parquet")))
    found.sort(key=lambda each: each[0])
    findings.table(
        "The same computation as rows grow: the fastest round of the middle size, one round of the others",
        ("purchases", "s", "µs a purchase", "highest memory, GiB"),
        [
            (f"{rows:,}", number(ran.seconds), number(1e6 * ran.seconds / rows), number(ran.highest_mib / 1024))
            for rows, ran in found
        ],
    )
    if size.scale < FULL:
        findings.did("Ten times the rows: only at full size.")
        return
    rows, largest = found[-1]
    growth = largest.seconds / rows / (fastest.seconds / middle.rows)
    findings.at_most(
        f"{rows:,} purchases: the time of a purchase within {GROWTH_MOST:g} times that among {middle.rows:,}",
        growth,
        GROWTH_MOST,
    )
    findings.at_most(
        f"{rows:,} purchases: highest memory within {GIB_MOST} GiB", largest.highest_mib / 1024, GIB_MOST, "GiB"
    )


def _featuretools(where: Place, size: Size, findings: Findings) -> None:
    if not HAS_APART:
        findings.did(f"Not measured: Featuretools, for {child.WITHOUT_APART}")
        return
    findings.did(
        f"Featuretools ({child.versions('featuretools', 'pandas')}): its own primitives count, sum, first, last, mode, "
        "num_unique, avg_time_between of all time, and count and sum of 365 days, of other such purchases, ten for "
        "each profile; its spend of all time equals that of regulars."
    )
    rows = []
    for full in (1_000, 5_000, 20_000):
        profiles = size.rows(full, full // 20)
        given = purchases.made(where.folder / f"features-{full}", 10 * profiles, profiles)
        theirs, own = given.folder / "features.parquet", given.folder / "ours.parquet"
        peer = child.run("on_featuretools", given.folder, theirs, _AT, folder=given.folder, python=APART)
        ran = _ours(given.folder, own)
        agreed(own, theirs, ("spend_all",))
        ratio = peer.seconds / ran.seconds
        rows.append((f"{profiles:,}", number(peer.seconds), number(ran.seconds), number(ratio)))
    findings.table("Featuretools as profiles grow", ("profiles", "Featuretools, s", f"{OURS}, s", "ratio"), rows)


def _lifetimes(where: Place, size: Size, findings: Findings) -> None:
    """The CDNOW data set, whatever the scale."""
    if not HAS_APART:
        findings.did(f"Not measured: lifetimes, for {child.WITHOUT_APART}")
        return
    folder = where.folder / "cdnow"
    _write_cdnow(folder)
    findings.did(
        f"CDNOW, 69,659 purchases of 23,570 customers, whole at any scale: {child.versions('lifetimes', 'pandas')} "
        "make frequency, recency, age and monetary value of each customer, regulars all values. Where no purchase "
        "was free, the number of days and the time from the first to the last agree."
    )
    theirs, own = folder / "summary.parquet", folder / "ours.parquet"
    ran: dict[str, list[Ran]] = {"lifetimes": [], "regulars": []}
    for _ in range(size.rounds(ROUNDS)):
        until = AS_OF.date().isoformat()
        ran["lifetimes"].append(child.run("on_lifetimes", folder, theirs, until, folder=folder, python=APART))
        ran["regulars"].append(_ours(folder, own, timezone="UTC", currency=cdnow.CURRENCY))
    same_days(folder / "transactions.parquet", own, theirs)
    findings.found("CDNOW: lifetimes, 4 values", [each.seconds for each in ran["lifetimes"]], "s")
    findings.found(f"CDNOW: {OURS}", [each.seconds for each in ran["regulars"]], "s")


def _write_cdnow(folder: Path) -> None:
    folder.mkdir()
    told = pa.Table.from_pylist(
        [
            {name: each[name] for name in ("external_id", "profile", "transacted_at", "total", "currency")}
            for each in cdnow.transactions()
        ]
    )
    instants = told["transacted_at"].cast(pa.timestamp("us", "UTC"))
    told = told.set_column(told.column_names.index("transacted_at"), "transacted_at", instants)
    pq.write_table(told, folder / "transactions.parquet")
    members = [{"external_id": each["external_id"], "joined_at": each["joined_at"]} for each in cdnow.profiles()]
    pq.write_table(pa.Table.from_pylist(members), folder / "profiles.parquet")
    pq.write_table(pa.table({"external_id": pa.array([], pa.string())}), folder / "locations.parquet")
