"""`regulars.compute` on each engine, and what differs from the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from aggregations.store_facts import differences
from engines.input_tables import Entity, entity_table, in_oracle_form, to_tables
from engines.random_clubs import by_profile
from oracle import Facts, expected_values
from regulars.offline.compute import compute

Compute = Callable[..., pa.Table]
"""What `regulars.compute` takes; gives an Arrow table."""
ComputedValues = Mapping[Entity, Mapping[str, object]]
"""The values of profiles at instants, in the oracle's form."""
Mismatches = dict[Entity, dict[str, tuple[object, object]]]
"""What differs, by profile, instant and name: (computed, expected)."""

compute_on_duckdb: Compute = partial(compute, engine="duckdb")


def compute_on_spark(spark: Any) -> Compute:
    """Computes in this session, and clears its cache."""

    def computes(*tables: Any, **options: Any) -> pa.Table:
        try:
            values = compute(*tables, engine="spark", spark=spark, **options)
            return None if values is None else values.toArrow()
        finally:
            spark.catalog.clearCache()

    return computes


def compute_facts(
    engine: Compute, facts: Facts, entities: Iterable[Entity], names: Sequence[str] | None = None, **forms: Any
) -> ComputedValues:
    """Computes the named values of facts, or all; `forms` are other forms of their tables."""
    community = facts.community
    sources = {**to_tables(facts), **forms}
    values = engine(
        **sources,
        as_of=entity_table(entities),
        values=names,
        timezone=community.timezone,
        currency=community.currency,
    )
    return in_oracle_form(values, facts)


def mismatches(values: ComputedValues, facts: Facts, entities: Iterable[Entity]) -> Mismatches:
    """The computed values that differ from the oracle's."""
    facts_by_profile = by_profile(facts)
    every = {
        (id_, at): computed_differences(values[id_, at], expected_values(facts_by_profile[id_], id_, at))
        for id_, at in entities
    }
    return {key: differing for key, differing in every.items() if differing}


def computed_differences(
    values: Mapping[str, object], expected: Mapping[str, object]
) -> dict[str, tuple[object, object]]:
    """The differences of the values that were computed; others were not selected."""
    return differences(values, {name: value for name, value in expected.items() if name in values})
