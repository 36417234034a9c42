"""What happens on a cluster only: one profile with most of the purchases, and an executor that is lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from engines import cluster
from engines.compute_fixtures import compute_on_duckdb, compute_on_spark

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
MANY, OTHERS = 200_000, 2_000


def purchases() -> pa.Table:
    """One profile with very many purchases, one each half hour, and others with five each; every tenth is a return."""
    relation = duckdb.sql(f"""
        SELECT CASE WHEN n < {MANY} THEN 'many' ELSE concat('few-', n % {OTHERS}) END AS profile,
               concat(n) AS external_id,
               TIMESTAMPTZ '2026-10-31 23:45:00+00' - n * INTERVAL 30 MINUTE AS transacted_at,
               CAST(CASE WHEN n % 10 = 9 THEN -1 ELSE 2 END AS DECIMAL(18, 2)) AS total,
               concat('store-', n % 7) AS location,
               concat('Brand ', n % 3) AS brand
        FROM range({MANY + 5 * OTHERS}) AS numbers(n)
    """)
    assert relation is not None
    return relation.to_arrow_table()


def split_rows(values: pa.Table) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The values of the profile with very many purchases, and those of the others."""
    rows = values.to_pylist()
    (one,) = (row for row in rows if row["profile_id"] == "many")
    return one, [row for row in rows if row is not one]


def assert_right(values: pa.Table) -> None:
    """Holds what can be worked out from how the purchases are made."""
    one, others = split_rows(values)
    days = MANY // 48
    assert one["shop_count"] == MANY * 9 // 10
    assert one["spend_all"] == Decimal(MANY * 9 // 10 * 2 - MANY // 10)
    assert one["spend_12m"] == Decimal(365 * 48 * 9 // 10 * 2 - 365 * 48 // 10)
    assert one["spend_last_date"] == AS_OF - timedelta(minutes=15)
    assert one["spend_first_date"] == AS_OF - timedelta(minutes=30 * MANY - 15)
    assert (one["total_shop_days"], one["shop_days"], one["dimension_frequency"]) == (days + 1, 1, "FH")
    assert (one["store_join"], one["latest_transacted_location"]) == (f"store-{(MANY - 2) % 7}", "store-0")
    assert one["transacted_locations"] == [f"store-{number}" for number in range(7)]
    assert one["purchased_brands"] == ["Brand 0", "Brand 1", "Brand 2"]
    assert len(others) == OTHERS
    assert sum(row["shop_count"] for row in others) == 5 * OTHERS * 9 // 10
    assert sum(row["spend_all"] for row in others) == Decimal(5 * OTHERS * 9 // 10 * 2 - 5 * OTHERS // 10)


# Shorter tests of Spark run within its driver, which can't be lost.
@pytest.mark.long
def test_a_profile_with_most_purchases_is_correct_after_the_loss_of_an_executor(spark: Any) -> None:
    lost = threading.Event()
    watching = threading.Thread(target=lose_one_at_work, args=(spark, lost), daemon=True)

    def lose_an_executor_at_start(stage: str) -> None:
        if stage == "computing":
            watching.start()

    values = compute_on_spark(spark)(purchases(), as_of=AS_OF, currency="EUR", progress=lose_an_executor_at_start)
    assert lost.is_set()
    assert_right(values)


def test_duckdb_computes_the_same_values_of_such_a_profile() -> None:
    assert_right(compute_on_duckdb(purchases(), as_of=AS_OF, currency="EUR"))


def lose_one_at_work(spark: Any, lost: threading.Event) -> None:
    """Kills an executor as soon as tasks run."""
    tracker = spark.sparkContext.statusTracker()
    while not any(
        (stage := tracker.getStageInfo(number)) and stage.numActiveTasks for number in tracker.getActiveStageIds()
    ):
        lost.wait(0.01)
    cluster.executors(spark)[0].kill()
    lost.set()
