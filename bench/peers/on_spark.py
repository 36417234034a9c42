"""All values by the product on Spark, in one session: from each of some folders of Parquet to a folder of Parquet."""

import json
import os
import sys
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

import regulars
from bench import processes
from bench.peers.timing import measure_once
from regulars.offline.engines import spark as spark_engine

PARTITIONS = 8
"""Spark's own 200 are for larger clusters; of two cores they ask more than the work itself."""


def all_values(folder: str, output: str, as_of: str, timezone: str, currency: str) -> None:
    """Everything that the definitions know."""
    regulars.compute(
        f"{folder}/transactions.parquet",
        f"{folder}/profiles.parquet",
        f"{folder}/locations.parquet",
        as_of=as_of,
        timezone=timezone,
        currency=currency,
        engine="spark",
        output=output,
    )


def cpu_seconds(*, of_executors: bool) -> float:
    """CPU of the executors, or of the driver and Python."""
    pids = [each for each in processes.child_processes(os.getpid()) if is_executor(each) is of_executors]
    return sum(processes.own_cpu_seconds(each) or 0.0 for each in pids)


def is_executor(process: int) -> bool:
    """Whether a process is an executor of a local cluster."""
    try:
        return b"CoarseGrainedExecutorBackend" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        # It ended meanwhile.
        return False


def cost(folder: str, arguments: list[str]) -> dict[str, float]:
    """What one computation took."""
    before = cpu_seconds(of_executors=False)
    measured = measure_once(partial(all_values, folder, *arguments), partial(cpu_seconds, of_executors=True))
    return {**measured, "driver_cpu_seconds": cpu_seconds(of_executors=False) - before}


if __name__ == "__main__":
    *arguments, master, folders = sys.argv[1:]
    # Large inputs are of interest, however few rows stand for them.
    spark_engine.SMALL_BYTES = 0
    session = SparkSession.builder.master(master).appName("bench").config("spark.log.level", "ERROR")
    session = session.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", PARTITIONS)
    started = session.getOrCreate()
    costs = [cost(each, arguments) for each in folders.split(os.pathsep)]
    print(json.dumps(costs))
    started.stop()
