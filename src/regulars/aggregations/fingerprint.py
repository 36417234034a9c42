"""What the values of a profile were computed from, in one short text that every engine makes alike of the same facts.

Two profiles with one text have the same values at the same instant, up to the values in COMPARED, which whoever
compares has to hold against each other themselves. What can't be told alike by all engines has no text.
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
"""Values that stand for their own facts: engines keep discounts in units of their own, and brands as numbers."""


def _told(*columns: str) -> str:
    return " || '|' || ".join(f"coalesce(CAST({each} AS TEXT), '')" for each in columns)


_PLACE = ("locations.external_id", "locations.country", "locations.iso_state", "locations.state")

_COUNTED = Relation(
    "counted_facts",
    "The profile's counted transactions, each as one number made of all that values are made of.",
    f"""
    SELECT history.k, history.transacted_at,
           digest({
        _told(
            "micros(history.transacted_at)",
            "history.amount",
            "days_between(CAST('1970-01-01' AS DATE), history.transacted_on)",
            "CASE WHEN history.is_sale THEN 1 WHEN history.moves THEN -1 ELSE 0 END",
            "history.channels",
            "CASE WHEN history.location_id IS NULL THEN 0 ELSE 1 END",
            *_PLACE,
        )
    }) AS fact
    FROM history
    LEFT JOIN locations ON locations.location_id = history.location_id
    """,
)

_NAMED = Relation(
    "named_places",
    "The locations that the profile joined at and prefers, each as one number.",
    f"""
    SELECT named.k, digest({_told("named.part", *_PLACE)}) AS fact
    FROM (
        SELECT k, 1 AS part, joined_location_id AS location_id FROM member
        UNION ALL
        SELECT k, 2, preferred_location_id FROM member
    ) AS named
    JOIN locations ON locations.location_id = named.location_id
    """,
)

_MEASURES = (
    SharedMeasure("facts_counted", _COUNTED, "count(*)"),
    SharedMeasure("instants_counted", _COUNTED, "count(DISTINCT transacted_at)"),
    SharedMeasure("facts_digest", _COUNTED, "sum(fact)"),
    SharedMeasure("named_digest", _NAMED, "sum(fact)"),
    SharedMeasure(
        "addresses_digest", ADDRESSES, f"sum(digest({_told('is_default', 'country', 'iso_state', 'state')}))"
    ),
)

_DAYS = ("joined_on", "today")

FINGERPRINT = Aggregation(
    "evidence",
    FieldType.STRING,
    "What the values were computed from, as a text to compare.",
    # Of several transactions at one instant engines may take another first.
    f"""CASE WHEN coalesce(facts_counted, 0) = coalesce(instants_counted, 0) THEN {
        _told(
            "zone",
            "currency",
            "micros(joined_at)",
            "micros(falls_due_at)",
            *(f"days_between(CAST('1970-01-01' AS DATE), {each})" for each in _DAYS),
            "facts_counted",
            "facts_digest",
            "named_digest",
            "addresses_digest",
        )
    } END""",
)


def _with_evidence(registry: AggregationRegistry) -> AggregationRegistry:
    return AggregationRegistry(
        aggregations=(*registry.aggregations, FINGERPRINT),
        measures=(*registry.measures, *_MEASURES),
        relations=(*registry.relations, _COUNTED, _NAMED),
    )


LOADABLE_REGISTRY = _with_evidence(REGISTRY)
"""All values, when they change, and what they were computed from."""

NEXT_CHANGE = Aggregation("next_change_at", FieldType.TIMESTAMP, "When the values change next by the clock alone.", "")

LOADING_COLUMNS = (NEXT_CHANGE, FINGERPRINT)
"""What goes out beside values that are to be loaded."""


@cache
def fingerprint_statement() -> str:
    """The evidence of profiles $2, each at its instant in $3, in community $1, and the values in COMPARED."""
    return compile_statement(_with_evidence(prune(REGISTRY, FINGERPRINT_EXCLUDED)), POSTGRESQL)


@cache
def fingerprint_version() -> str:
    """Changes whenever any value may change its meaning on any engine, or evidence of it."""
    digest = hashlib.sha256()
    for engine in ENGINES:
        digest.update(compile_statement(LOADABLE_REGISTRY, engine).encode())
    return digest.hexdigest()[:16]
