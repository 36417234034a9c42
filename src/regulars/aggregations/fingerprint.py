"""Fingerprint of the facts that the values of a profile were computed from, the same on all engines.

Profiles with equal fingerprints have equal values at the same instant, except those in FINGERPRINT_EXCLUDED, which the
caller must compare. The fingerprint is null where engines may order the facts differently.
"""

import hashlib
from functools import cache

from regulars.aggregations.aggregation import Aggregation, AggregationRegistry, Relation, SharedMeasure
from regulars.aggregations.compiler import compile_statement
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.definitions.relations import ADDRESSES
from regulars.aggregations.engines import ENGINES, POSTGRESQL
from regulars.aggregations.pruning import prune
from regulars.core.field_type import FieldType

FINGERPRINT_EXCLUDED = ("discount_avg", "purchased_brands")
"""Values that are compared instead of their facts: engines encode discounts and brands differently."""


def _concat(*columns: str) -> str:
    return " || '|' || ".join(f"coalesce(CAST({each} AS TEXT), '')" for each in columns)


_LOCATION = ("locations.external_id", "locations.country", "locations.iso_state", "locations.state")

_COUNTED_FACTS = Relation(
    "counted_facts",
    "The counted transactions of the profile, each hashed with all its attributes that values depend on.",
    f"""
    SELECT history.k, history.transacted_at,
           digest({
        _concat(
            "micros(history.transacted_at)",
            "history.amount",
            "days_between(CAST('1970-01-01' AS DATE), history.transacted_on)",
            "CASE WHEN history.is_sale THEN 1 WHEN history.has_amount THEN -1 ELSE 0 END",
            "history.channels",
            "CASE WHEN history.location_id IS NULL THEN 0 ELSE 1 END",
            *_LOCATION,
        )
    }) AS fact
    FROM history
    LEFT JOIN locations ON locations.location_id = history.location_id
    """,
)

_PROFILE_LOCATIONS = Relation(
    "profile_locations",
    "The joined and the preferred location of the profile, each hashed.",
    f"""
    SELECT referenced.k, digest({_concat("referenced.part", *_LOCATION)}) AS fact
    FROM (
        SELECT k, 1 AS part, joined_location_id AS location_id FROM member
        UNION ALL
        SELECT k, 2, preferred_location_id FROM member
    ) AS referenced
    JOIN locations ON locations.location_id = referenced.location_id
    """,
)

_MEASURES = (
    SharedMeasure("facts_counted", _COUNTED_FACTS, "count(*)"),
    SharedMeasure("instants_counted", _COUNTED_FACTS, "count(DISTINCT transacted_at)"),
    SharedMeasure("facts_digest", _COUNTED_FACTS, "sum(fact)"),
    SharedMeasure("locations_digest", _PROFILE_LOCATIONS, "sum(fact)"),
    SharedMeasure(
        "addresses_digest", ADDRESSES, f"sum(digest({_concat('is_default', 'country', 'iso_state', 'state')}))"
    ),
)

_DAYS = ("joined_on", "today")

FINGERPRINT = Aggregation(
    "fingerprint",
    FieldType.STRING,
    "Fingerprint of the facts that the values were computed from.",
    # Engines may order transactions of the same instant differently.
    f"""CASE WHEN coalesce(facts_counted, 0) = coalesce(instants_counted, 0) THEN {
        _concat(
            "zone",
            "currency",
            "micros(joined_at)",
            "micros(next_future_at)",
            *(f"days_between(CAST('1970-01-01' AS DATE), {each})" for each in _DAYS),
            "facts_counted",
            "facts_digest",
            "locations_digest",
            "addresses_digest",
        )
    } END""",
)


def _with_fingerprint(registry: AggregationRegistry) -> AggregationRegistry:
    return AggregationRegistry(
        aggregations=(*registry.aggregations, FINGERPRINT),
        measures=(*registry.measures, *_MEASURES),
        relations=(*registry.relations, _COUNTED_FACTS, _PROFILE_LOCATIONS),
    )


LOADABLE_REGISTRY = _with_fingerprint(REGISTRY)
"""All values, their time triggers and the fingerprint of their facts."""

NEXT_CHANGE = Aggregation(
    "next_change_at", FieldType.TIMESTAMP, "The next instant at which the clock alone changes a value.", ""
)

LOADING_COLUMNS = (NEXT_CHANGE, FINGERPRINT)
"""Columns that a file of values needs to be loaded."""


@cache
def fingerprint_statement() -> str:
    """Fingerprints of the profiles $2, each at its instant in $3, in community $1, and the values in
    FINGERPRINT_EXCLUDED.
    """
    return compile_statement(_with_fingerprint(prune(REGISTRY, FINGERPRINT_EXCLUDED)), POSTGRESQL)


@cache
def fingerprint_version() -> str:
    """Changes whenever the definition of a value or of the fingerprint changes on any engine."""
    digest = hashlib.sha256()
    for engine in ENGINES:
        digest.update(compile_statement(LOADABLE_REGISTRY, engine).encode())
    return digest.hexdigest()[:16]
