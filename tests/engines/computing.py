"""`regulars.compute` on each engine, and what differs from the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from aggregations.stored import differences
from engines.generated import alone
from engines.given_tables import Asked, in_oracle_form, pairs, tables
from oracle import Facts, values
from regulars.bulk.compute import compute

Compute = Callable[..., pa.Table]
"""What `regulars.compute` takes; gives an Arrow table."""
Found = Mapping[Asked, Mapping[str, object]]
"""The values of profiles at instants, in the oracle's form."""
Wrong = dict[Asked, dict[str, tuple[object, object]]]
"""What differs, by profile, instant and name: (found, expected)."""

on_duckdb: Compute = partial(compute, engine="duckdb")


def on_spark(spark: Any) -> Compute:
    """Computes in this session, which forgets what it kept."""

    def computes(*given: Any, **asked: Any) -> pa.Table:
        try:
            found = compute(*given, engine="spark", spark=spark, **asked)
            return None if found is None else found.toArrow()
        finally:
            spark.catalog.clearCache()

    return computes


def computed(engine: Compute, facts: Facts, asked: Iterable[Asked], **forms: Any) -> Found:
    """What an engine makes of facts; `forms` are other forms of their tables."""
    community = facts.community
    sources = {**tables(facts), **forms}
    found = engine(**sources, as_of=pairs(asked), timezone=community.timezone, currency=community.currency)
    return in_oracle_form(found, facts)


def wrong(found: Found, facts: Facts, asked: Iterable[Asked]) -> Wrong:
    """What of the values found is not what the oracle says."""
    own = alone(facts)
    every = {(id_, at): differences(found[id_, at], values(own[id_], id_, at)) for id_, at in asked}
    return {key: differing for key, differing in every.items() if differing}
