"""All values on Spark: rows a second of an executor's core, and from which size executors take less time than DuckDB."""

import os

from bench import purchase_files, subprocess_run
from bench.break_even import Cost, break_even_rows, fit, least_executors
from bench.environment import BenchEnvironment
from bench.equivalence import assert_equal_files
from bench.peers.on_spark import PARTITIONS
from bench.purchase_files import AS_OF, CURRENCY, DESCRIPTION, ZONE, PurchaseFiles
from bench.result import Findings, format_number, with_unit
from bench.size import Size
from bench.subprocess_run import RunCost

FULL_ROWS = 5_000_000
"""Ten times as many would take one executor hours; MODEL_ROWS are computed from the slopes instead."""
MODEL_ROWS = 50_000_000
SMALL_DIVISOR = 5
"""The smaller input has the rows divided by this."""
EXECUTOR_MIB = 2048
ROUNDS = 2
EXECUTORS = (4, 8, 16, 32)
_ARGUMENTS = (AS_OF.isoformat(), ZONE, CURRENCY)


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """5 million purchases of half a million profiles, and a fifth of them; shorter runs have fewer."""
    rows = size.rows(FULL_ROWS, 10_000)
    small, large = (
        purchase_files.write_purchases(environment.folder / f"purchases-{number}", number, number // 10)
        for number in (rows // SMALL_DIVISOR, rows)
    )
    rounds = size.rounds(ROUNDS)
    cores = os.cpu_count() or 1
    findings.describe(
        f"{small.rows:,} and {large.rows:,} purchases ({FULL_ROWS:,} at full size) of a tenth as many profiles in Parquet, "
        f"{DESCRIPTION}. regulars.compute of all values to Parquet, by Spark in local-cluster[n,1,{EXECUTOR_MIB}] (executors "
        f"are processes of their own, with one core each; the driver is one more), in {PARTITIONS} partitions, and by DuckDB "
        f"on {cores} cores. Times in seconds are of the fewer purchases."
    )
    findings.describe(
        f"Spark computes the fewer purchases {1 + rounds} times in one session and with one executor the more purchases "
        "then; the first time, in which it compiles what it runs, is a figure of its own. Starting the session is not counted. "
        f"On {cores} cores, which two executors and their driver share, this shows that work is split, not how far."
    )
    on_duckdb = [_on_duckdb(each) for each in (small, large)]
    findings.record("DuckDB", on_duckdb[0].seconds, "s")
    one_executor = _on_spark(1, [small] * (1 + rounds) + [large], large)
    two_executors = _on_spark(2, [small] * (1 + rounds), small)
    medians = []
    for name, (first, *warm_runs) in (("1 executor", one_executor[:-1]), ("2 executors", two_executors)):
        medians.append(findings.record(f"Spark, {name}", [each.seconds for each in warm_runs], "s"))
        findings.record(f"Spark, {name}, first time", first.seconds, "s")
    findings.target(
        f"The values of {large.profiles:,} profiles by Spark with one executor, and of {small.profiles:,} with two, are those of "
        "DuckDB",
        "all equal",
        True,
    )
    findings.record("Spark, 1 executor / 2 executors", medians[0] / medians[1], "")
    warm = min(one_executor[1:-1], key=lambda each: each.cpu_seconds)
    executors = fit((small.rows, warm.cpu_seconds), (large.rows, one_executor[-1].cpu_seconds))
    spark = Cost(executors.fixed_seconds + warm.driver_cpu_seconds, executors.core_seconds_per_row)
    duckdb = fit((small.rows, on_duckdb[0].cpu_seconds), (large.rows, on_duckdb[1].cpu_seconds))
    compare(spark, duckdb, cores, findings)


def compare(spark: Cost, duckdb: Cost, cores: int, findings: Findings) -> None:
    """Records what a core computes, and from which size each number of executors takes less time than DuckDB."""
    findings.describe(
        "Rows a second of a core are measured in CPU seconds, because a shared machine makes others longer: the difference of "
        "rows by the difference of CPU seconds of the two sizes, of the executors or of DuckDB. What remains at the lower "
        "size, and the CPU of Spark's driver there, is the time that no executor shortens."
    )
    findings.describe(
        f"By this model n rows take Spark a + b n / (E c) seconds on E executors of c cores, and DuckDB d + e n / c on one "
        f"machine of c cores, {cores} here (a and d: fixed seconds; b and e: core seconds a row). Spark takes less time from "
        "n = (a - d) c / (e - b / E) on, and with fewer than b / e executors never. It leaves out what is sent between "
        f"machines, and disks that DuckDB would fill. {MODEL_ROWS:,} rows are not computed, but taken from this model."
    )
    findings.record("Spark, rows a second of an executor's core", spark.rows_per_core_second, "rows/s")
    findings.record("DuckDB, rows a second of a core", duckdb.rows_per_core_second, "rows/s")
    findings.record("Spark, fixed", spark.fixed_seconds, "s")
    findings.record("DuckDB, fixed", duckdb.fixed_seconds, "s")
    findings.record("executors from which on Spark may take less time", least_executors(spark, duckdb), "")
    rows = []
    for each in EXECUTORS:
        rows_needed = break_even_rows(spark, duckdb, each, cores)
        seconds = [spark.seconds(MODEL_ROWS, each * cores), duckdb.seconds(MODEL_ROWS, cores)]
        size = "never" if rows_needed is None else f"{format_number(rows_needed)} rows"
        rows.append([f"{each}", size, *(with_unit(value, "s") for value in seconds)])
    findings.add_table(
        f"Size from which Spark takes less time than DuckDB on one machine, executors of {cores} cores each (model)",
        ["executors", "less time from", f"Spark, {MODEL_ROWS:,} rows", f"DuckDB, {MODEL_ROWS:,} rows"],
        rows,
    )


def _on_duckdb(purchases: PurchaseFiles) -> RunCost:
    output = purchases.folder / "regulars.parquet"
    return subprocess_run.run("on_duckdb", purchases.folder, output, *_ARGUMENTS, folder=purchases.folder)


def _on_spark(executors: int, order: list[PurchaseFiles], last: PurchaseFiles) -> list[RunCost]:
    """Computes in one session; the last values must be those of DuckDB."""
    output = last.folder / f"spark-{executors}"
    master = f"local-cluster[{executors},1,{EXECUTOR_MIB}]"
    folders = os.pathsep.join(str(each.folder) for each in order)
    costs = subprocess_run.run_rounds("on_spark", output, *_ARGUMENTS, master, folders, folder=last.folder)
    equal = assert_equal_files(last.folder / "regulars.parquet", output / "*.parquet")
    assert equal == last.profiles, equal
    return costs
