"""Values that are chosen are those that they are among all."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from engines.compute_fixtures import Compute, compute_on_duckdb, compute_on_spark
from engines.input_tables import to_tables
from engines.random_clubs import random_club
from hypothesis_settings import SEED
from regulars.aggregations.definitions import REGISTRY

ALWAYS = {"profile_id", "calculated_at"}
NAMES = [each.name for each in REGISTRY.aggregations if each.name not in ALWAYS]


def values_of(compute: Compute, names: list[str] | None) -> pa.Table:
    """Some values of drawn profiles, or all; by one line a row or several."""
    drawn = random_club(SEED, profiles=60)
    community = drawn.facts.community
    options = {"timezone": community.timezone, "currency": community.currency}
    return compute(**to_tables(drawn.facts), as_of=drawn.now, values=names, **options).sort_by("profile_id")


def test_selected_values_equal_those_among_all_values() -> None:
    everything = values_of(compute_on_duckdb, None)
    names = random.Random(SEED).sample(NAMES, len(NAMES))
    for start in range(0, len(names), 6):
        group = names[start : start + 6]
        shown = [each for each in everything.column_names if each in ALWAYS | set(group)]
        assert values_of(compute_on_duckdb, group) == everything.select(shown)


@pytest.mark.long
def test_spark_returns_only_selected_values(spark: object) -> None:
    chosen = ["spend_12m", "total_shop_days", "most_transacted_location", "purchased_brands"]
    values = values_of(compute_on_spark(spark), chosen)
    expected = values_of(compute_on_duckdb, chosen)
    assert values.column_names == expected.column_names
    assert values.to_pylist() == expected.to_pylist()
