"""The fingerprint of facts is the same text on every engine."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from clubs import START
from engines.compute_fixtures import compute_on_duckdb, compute_on_spark

SALES = [
    {"external_id": "T1", "profile": "M1", "transacted_at": "2026-10-01T10:00:00.000001Z", "total": "5.10",
     "location": "S1"},
    {"external_id": "T2", "profile": "M1", "transacted_at": "2026-10-25 02:30", "total": "-5.10", "location": None},
    {"external_id": "T3", "profile": "M2", "transacted_at": "2026-12-01", "total": "0", "location": "S1"},
]  # fmt: skip
MEMBERS = [
    {"external_id": "M1", "joined_at": "2024-01-01", "joined_location_external_id": "S1", "addresses": None},
    {"external_id": "M2", "joined_at": None, "joined_location_external_id": None,
     "addresses": '[{"is_default": true, "country": "Norway", "iso_state": "NO-03"}]'},
]  # fmt: skip
STORES = [{"external_id": "S1", "type": "online", "country_iso_3": "SWE"}]


# A computation of all values takes Spark long, and the suite has others.
@pytest.mark.long
def test_all_engines_compute_the_same_fingerprint(spark: Any) -> None:
    tables = [pa.Table.from_pylist(each) for each in (SALES, MEMBERS, STORES)]
    options = {"as_of": START, "timezone": "Europe/Oslo", "currency": "NOK", "with_fingerprints": True}
    columns = ["profile_id", "next_change_at", "fingerprint"]
    by_duckdb, by_spark = (
        {row["profile_id"]: row["fingerprint"] for row in engine(*tables, **options).select(columns).to_pylist()}
        for engine in (compute_on_duckdb, compute_on_spark(spark))
    )
    assert by_duckdb == by_spark
    assert None not in by_duckdb.values()
