"""Segments over files on Spark; tests/offline/test_segment.py has the same on DuckDB."""

from __future__ import annotations

from typing import Any

import pytest

from offline.test_segment import NORDIC_OR_OLD, PURCHASES, SPENDERS, members_of


@pytest.mark.long
def test_spark_computes_the_same(spark: Any) -> None:
    both = {"type": "and", "operations": [NORDIC_OR_OLD, SPENDERS]}
    assert members_of(both, transactions=PURCHASES, engine="spark", spark=spark) == {"A": True, "C": False}
    spark.catalog.clearCache()
