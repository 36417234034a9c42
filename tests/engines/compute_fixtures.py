"""`regulars.compute` on each engine, and what differs from the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
"""What differs, by profile, instant and name: (found, expected)."""

compute_on_duckdb: Compute = partial(compute, engine="duckdb")


def compute_on_spark(spark: Any) -> Compute:
    """Computes in this session, which forgets what it kept."""

    def computes(*given: Any, **asked: Any) -> pa.Table:
        try:
            found = compute(*given, engine="spark", spark=spark, **asked)
            return None if found is None else found.toArrow()
        finally:
            spark.catalog.clearCache()

    return computes


def compute_facts(engine: Compute, facts: Facts, asked: Iterable[Entity], **forms: Any) -> ComputedValues:
    """What an engine makes of facts; `forms` are other forms of their tables."""
    community = facts.community
    sources = {**to_tables(facts), **forms}
    found = engine(**sources, as_of=entity_table(asked), timezone=community.timezone, currency=community.currency)
    return in_oracle_form(found, facts)


def mismatches(found: ComputedValues, facts: Facts, asked: Iterable[Entity]) -> Mismatches:
    """What of the values found is not what the oracle says."""
    own = by_profile(facts)
    every = {(id_, at): differences(found[id_, at], expected_values(own[id_], id_, at)) for id_, at in asked}
    return {key: differing for key, differing in every.items() if differing}
