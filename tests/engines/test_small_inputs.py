"""Spark computes few rows in one partition, in its own session, and equal to the oracle."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engines.compute_fixtures import compute_facts, compute_on_spark, mismatches
from engines.random_clubs import random_club
from hypothesis_settings import SEED
from regulars.aggregations.definitions import REGISTRY
from regulars.offline.inputs import files_of_pattern
from regulars.offline.schema import PROFILES
from regulars.offline.structures import PlanStep

NAMES = [each.name for each in REGISTRY.aggregations]


@pytest.fixture(autouse=True)
def small_bytes(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of small inputs, in long runs too."""
    monkeypatch.setattr("regulars.offline.engines.spark.SMALL_BYTES", 16 * 2**20)


@pytest.mark.parametrize("names", [random.Random(SEED).sample(NAMES, 2), pytest.param(None, marks=pytest.mark.long)])
def test_values_of_few_rows_equal_those_of_the_oracle(spark: Any, names: list[str] | None) -> None:
    drawn = random_club(SEED, 60)
    values = compute_facts(compute_on_spark(spark), drawn.facts, drawn.entities, names)
    assert mismatches(values, drawn.facts, drawn.entities) == {}


def test_stored_rows_are_freed_when_the_values_are_written(spark: Any, tmp_path: Path) -> None:
    from regulars.offline.engines.spark import SparkEngine

    stored = spark.sparkContext._jsc.getPersistentRDDs
    before = stored().size()
    engine = SparkEngine(spark)
    table = engine.register(PROFILES, pa.table({"external_id": ["M1", "M2"]}), {})
    engine.create(PlanStep("members", f"SELECT external_id FROM {table.relation}", is_materialized=True))
    assert engine.fetch("SELECT count(*) FROM members") == [(2,)]
    assert stored().size() > before
    engine.write("SELECT external_id FROM members ORDER BY external_id", f"{tmp_path}/members", ())
    assert stored().size() == before
    assert spark.read.parquet(f"{tmp_path}/members").toArrow().to_pydict() == {"external_id": ["M1", "M2"]}


def partitions(engine: Any, value: Any) -> int:
    """The partitions in which the rows of a table are read."""
    relation = engine.register(PROFILES, value, {}).relation
    return partitions_of(engine, relation)


def partitions_of(engine: Any, relation: str) -> int:
    """The partitions of a relation that have rows."""
    ((number,),) = engine.fetch(
        f"SELECT count(DISTINCT part) FROM (SELECT spark_partition_id() AS part FROM {relation}) AS parts"
    )
    return int(number)


def test_tables_are_read_in_one_partition_if_all_are_known_to_be_small(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regulars.offline.engines.spark import SparkEngine

    table = pa.table({"external_id": [f"{number}" for number in range(1_000)]})
    rows = spark.createDataFrame(table).repartition(2)
    rows.write.parquet(f"{tmp_path}/profiles")
    files = spark.read.parquet(f"{tmp_path}/profiles")
    engine = SparkEngine(spark)
    assert partitions(engine, table) == 1
    assert partitions(engine, files_of_pattern(f"{tmp_path}/profiles/**/*.parquet")) == 1
    assert partitions(engine, files.where("external_id <> '7'")) == 1
    # How many rows a sample reads is not known.
    assert partitions(engine, files.sample(0.9, seed=1)) == 2
    # Then the others are not small either.
    first, *_ = engine._inputs
    assert partitions_of(engine, f"global_temp.{first}") > 1
    assert partitions(engine, files) == 2
    engine._drop_input_views()
    size = sum(each.stat().st_size for each in (tmp_path / "profiles").glob("*.parquet"))
    monkeypatch.setattr("regulars.offline.engines.spark.SMALL_BYTES", 7 * size)
    assert partitions(SparkEngine(spark), files) == 2


def test_the_caller_has_the_settings_of_the_session(spark: Any) -> None:
    from regulars.offline.engines.spark import SparkEngine

    engine = SparkEngine(spark)
    table = engine.register(PROFILES, pa.table({"external_id": ["M1"]}), {})
    values = engine.to_table(f"SELECT upper(external_id) AS id FROM {table.relation}")
    assert values.toArrow().to_pylist() == [{"id": "M1"}]
    for name in engine._small_settings:
        assert values.sparkSession.conf.get(name) == SparkEngine(spark)._large_settings[name]
