"""All values by the product on Spark: from a folder of Parquet to a folder of Parquet."""

import sys

from pyspark.sql import SparkSession

import regulars
from bench.peers.timing import measure

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


if __name__ == "__main__":
    rounds = int(sys.argv.pop())
    master = sys.argv.pop()
    session = SparkSession.builder.master(master).appName("bench").config("spark.log.level", "ERROR")
    session = session.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", PARTITIONS)
    started = session.getOrCreate()
    measure(all_values, rounds)
    started.stop()
