"""Segments over files, on Spark as on DuckDB; see tests/offline/test_segment.py."""

from __future__ import annotations

from typing import Any

from offline.test_segment import NORDIC_OR_OLD, PURCHASES, SPENDERS, members_of


def test_spark_computes_the_same(spark: Any) -> None:
    both = {"type": "and", "operations": [NORDIC_OR_OLD, SPENDERS]}
    assert members_of(both, transactions=PURCHASES, engine="spark", spark=spark) == {"A": True, "C": False}
    spark.catalog.clearCache()
