"""All values on Spark, with one executor and with two, over the files that DuckDB reads too."""

from bench import purchase_files, subprocess_run
from bench.environment import BenchEnvironment
from bench.equivalence import assert_equal_files
from bench.peers.on_spark import PARTITIONS
from bench.purchase_files import AS_OF, CURRENCY, DESCRIPTION, ZONE
from bench.result import Findings
from bench.size import Size

EXECUTOR_MIB = 2048
ROUNDS = 3


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """A million purchases of 100,000 profiles."""
    rows = size.rows(1_000_000, 2_000)
    purchases = purchase_files.write_purchases(environment.folder / "purchases", rows, rows // 10)
    rounds = size.rounds(ROUNDS)
    findings.describe(
        f"{rows:,} purchases of {purchases.profiles:,} profiles in Parquet, {DESCRIPTION}. regulars.compute of all values to "
        f"Parquet, by Spark in local-cluster[n,1,{EXECUTOR_MIB}] (executors are processes of their our_output, with one core "
        f"each; the driver is one more), in {PARTITIONS} partitions, and by DuckDB on all cores."
    )
    findings.describe(
        f"Spark computes {1 + rounds} times in one session; the first, in which it compiles what it runs, is a figure "
        "of its our_output. Starting the session is not counted. On two cores, which two executors and their driver share, "
        "this shows that work is split, not how far: that takes machines."
    )
    arguments = (AS_OF.isoformat(), ZONE, CURRENCY)
    our_output = purchases.folder / "ours.parquet"
    findings.record(
        "DuckDB",
        subprocess_run.run("on_duckdb", purchases.folder, our_output, *arguments, folder=purchases.folder).seconds,
        "s",
    )
    medians = []
    for executors in (1, 2):
        output = purchases.folder / f"spark-{executors}"
        master = f"local-cluster[{executors},1,{EXECUTOR_MIB}]"
        first, *ran = subprocess_run.run_rounds(
            "on_spark", purchases.folder, output, *arguments, master, 1 + rounds, folder=purchases.folder
        )
        equal = assert_equal_files(our_output, output / "*.parquet")
        assert equal == purchases.profiles, equal
        kind = f"Spark, {executors} executor{'s' if executors > 1 else ''}"
        medians.append(findings.record(kind, [each.seconds for each in ran], "s"))
        findings.record(f"{kind}, first time", first.seconds, "s")
    findings.target(
        f"The values of {purchases.profiles:,} profiles by Spark, with one executor and with two, are those of DuckDB",
        "all equal",
        True,
    )
    findings.record("Spark, 1 executor / 2 executors", medians[0] / medians[1], "")
