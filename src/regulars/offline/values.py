"""From facts to values as they go out: who is asked for and when, the compiled statement, money and places by name."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from regulars.aggregations import fingerprint
from regulars.aggregations.aggregation import Aggregation, AggregationRegistry
from regulars.aggregations.compiler import (
    build_relations,
    compile_statement,
    select_values,
    shared_input_ctes,
    translate,
)
from regulars.aggregations.engines import DUCKDB_BRAND_BITSET, ENGINES, SqlEngine
from regulars.aggregations.pruning import order_sensitive_calls
from regulars.core.field_type import FieldType
from regulars.offline import dictionary_encoding
from regulars.offline.casting import CastDialect
from regulars.offline.structures import ClubContext, PlanStep

_ONE_TIE = 1_048_576
"""More transactions of one profile at one instant than there can be."""


def ordered_transactions(has_ties: bool, dialect: CastDialect) -> list[PlanStep]:
    """The transactions with `n`, a number in their order within a profile."""
    if not dialect.uses_ordinals:
        return [
            PlanStep("ordered_transactions", "SELECT told.*, CAST(0 AS BIGINT) AS n FROM fact_transactions AS told")
        ]
    instant = f"CAST(epoch_us(told.transacted_at) AS HUGEINT) * {_ONE_TIE}"
    if not has_ties:
        return [PlanStep("ordered_transactions", f"SELECT told.*, {instant} AS n FROM fact_transactions AS told")]
    return [
        PlanStep(
            "fact_ties",
            """SELECT profile, transacted_at, external_id, id,
       row_number() OVER (PARTITION BY profile, transacted_at ORDER BY external_id NULLS LAST, id) AS place
FROM fact_transactions
SEMI JOIN (
    SELECT profile, transacted_at FROM fact_transactions GROUP BY ALL HAVING count(*) > 1
) AS several USING (profile, transacted_at)""",
            is_materialized=True,
        ),
        PlanStep(
            "ordered_transactions",
            f"""SELECT told.*, {instant} + coalesce(tie.place, 0) AS n
FROM fact_transactions AS told
LEFT JOIN fact_ties AS tie
  ON tie.profile = told.profile
 AND tie.transacted_at = told.transacted_at
 AND tie.external_id IS NOT DISTINCT FROM told.external_id
 AND tie.id = told.id""",
        ),
    ]


def order_sensitive_profiles(registry: AggregationRegistry, engine: SqlEngine) -> str | None:
    """Profiles for which it matters which of several transactions at one instant is first; None where it never does."""
    calls = order_sensitive_calls(registry)
    if not calls:
        return None
    differ = [f"{translate(call, engine)} <> 4294967295 - {translate(mirrored, engine)}" for call, mirrored in calls]
    inputs = ",\n".join(f"{name} AS (\n{sql}\n)" for name, sql in shared_input_ctes(engine))
    return f"WITH {inputs}\nSELECT k\nFROM history\nGROUP BY k\nHAVING " + "\n    OR ".join(differ) + "\nLIMIT 1"


def branded_lines(dialect: CastDialect) -> list[PlanStep]:
    """The sold lines with their brands, as numbers in the order of their names where an engine gives them."""
    if not dialect.uses_ordinals:
        return [PlanStep("branded_lines", "SELECT * FROM fact_lines")]
    return [
        *dictionary_encoding.brand_dictionary("SELECT DISTINCT brand FROM fact_lines"),
        PlanStep(
            "branded_lines",
            """SELECT line.profile, line.transacted_at, known.brand
FROM fact_lines AS line
JOIN fact_brands AS known ON known.name = line.brand""",
        ),
    ]


def _bounds(as_of: str) -> str:
    """Instants beyond which no calendar arithmetic is needed to tell on which side of a window one is."""
    return ",\n       ".join(
        f"{as_of} - INTERVAL '{months} months' {sign} INTERVAL '4 days' AS {side}_{months}m"
        for months in (12, 24)
        for side, sign in (("before", "-"), ("after", "+"))
    )


def as_of_spine(as_of: datetime) -> list[PlanStep]:
    """All profiles at one instant: each stands for itself, and nothing needs to be joined."""
    at = timestamp_literal(as_of)
    return [
        PlanStep("asked", f"SELECT profile AS k, profile, profile_id, {at} AS as_of FROM fact_profiles"),
        PlanStep(
            "asked_transactions",
            f"""SELECT profile AS k, told.*, {at} AS as_of,
       {_bounds(at)}
FROM ordered_transactions AS told
WHERE transacted_at <= {at}""",
        ),
        PlanStep("asked_lines", f"SELECT profile AS k, brand FROM branded_lines WHERE transacted_at <= {at}"),
        PlanStep(
            "ahead",
            f"""SELECT profile AS k, min(transacted_at) AS falls_due_at
FROM fact_transactions
WHERE transacted_at > {at}
GROUP BY profile""",
        ),
    ]


def entity_spine(club: ClubContext, dialect: CastDialect) -> list[PlanStep]:
    """Profiles each at instants of its own, every pair once."""
    at = dialect.engine.macros["instant_of"]("pair.as_of_local", f"'{club.timezone}'")
    return [
        PlanStep(
            "asked",
            f"""SELECT {dialect.spine_key} AS k, pair.*
FROM (
    SELECT DISTINCT own.profile, own.profile_id, coalesce(pair.as_of, {at}) AS as_of
    FROM typed_as_of AS pair
    JOIN fact_profiles AS own ON own.profile_id = pair.profile
) AS pair""",
            is_materialized=True,
        ),
        PlanStep(
            "asked_transactions",
            f"""SELECT asked.k, told.*, asked.as_of,
       {_bounds("asked.as_of")}
FROM asked
JOIN ordered_transactions AS told ON told.profile = asked.profile AND told.transacted_at <= asked.as_of""",
        ),
        PlanStep(
            "asked_lines",
            """SELECT asked.k, line.brand
FROM asked
JOIN branded_lines AS line ON line.profile = asked.profile AND line.transacted_at <= asked.as_of""",
        ),
        PlanStep(
            "ahead",
            """SELECT asked.k, min(told.transacted_at) AS falls_due_at
FROM asked
JOIN fact_transactions AS told ON told.profile = asked.profile AND told.transacted_at > asked.as_of
GROUP BY asked.k""",
        ),
    ]


def timestamp_literal(at: datetime) -> str:
    """An instant as SQL, in UTC."""
    return f"TIMESTAMP '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"


def club_step(club: ClubContext) -> PlanStep:
    """The club as the one row that definitions know."""
    return PlanStep(
        "club", f"SELECT '{club.timezone}' AS zone, '{club.currency}' AS currency, CAST(0 AS BIGINT) AS values_version"
    )


_READ_AGAIN = {"history", "places", "votes", "countries"}


def stored_values(registry: AggregationRegistry, engine: SqlEngine, dialect: CastDialect) -> list[PlanStep]:
    """The values as the live store keeps them, with when they change next: one statement where an engine computes a
    relation once however often it is read, else relation by relation.
    """
    if dialect.uses_ordinals:
        return [PlanStep("stored_values", _statement(registry, engine.name))]
    found = build_relations(registry, engine)
    return [
        *(PlanStep(name, sql, is_materialized=name in _READ_AGAIN) for name, sql in found),
        PlanStep("stored_values", select_values(registry, engine, found[-1][0])),
    ]


@cache
def _statement(registry: AggregationRegistry, engine: str) -> str:
    # Translating every declaration takes as long as to compute a thousand profiles.
    return compile_statement(registry, {each.name: each for each in (*ENGINES, DUCKDB_BRAND_BITSET)}[engine])


def output_select(aggregations: Sequence[Aggregation], club: ClubContext, dialect: CastDialect) -> str:
    """Values as they go out: decimals, instants in UTC, locations by their external ids."""
    columns = ",\n       ".join(f"{_shown(each, club, dialect)} AS {each.name}" for each in aggregations)
    kinds = {each.type for each in aggregations}
    select = f"SELECT {columns}\nFROM stored_values AS value"
    if kinds & {FieldType.LOCATION, FieldType.LOCATION_LIST}:
        select += f"""
CROSS JOIN (
    SELECT {dialect.location_names} AS names
    FROM fact_locations
) AS place"""
    if FieldType.COUNTRY_ALPHA_3 in kinds:
        select += "\nJOIN country_codes ON country_codes.alpha_2 = coalesce(value.likely_country, '')"
    return select


def _shown(of: Aggregation, club: ClubContext, dialect: CastDialect) -> str:
    column = f"value.{of.name}"
    if of is fingerprint.FINGERPRINT:
        return f"'{fingerprint.fingerprint_version()} ' || {column}"
    match of.type:
        case FieldType.MONEY:
            return _decimal(column, club.minor_digits)
        case FieldType.PERCENT:
            return _decimal(column, 2)
        case FieldType.COUNTRY_ALPHA_3:
            return "country_codes.alpha_3"
        case FieldType.LOCATION:
            return dialect.name_at("place.names", column)
        case FieldType.LOCATION_LIST:
            return dialect.names_at("place.names", column)
        case FieldType.TIMESTAMP:
            return dialect.output_timestamp(column)
        case FieldType.AS_OF:
            return dialect.output_timestamp("value.calculated_at")
        case FieldType.ALWAYS_NULL:
            return f"CAST(NULL AS {dialect.string_type})"
        case _:
            return column


def _decimal(column: str, digits: int) -> str:
    unit = f"CAST({10**-digits:.{digits}f} AS DECIMAL(4, {digits}))"
    return f"CAST(CAST({column} AS DECIMAL(34, 0)) * {unit} AS DECIMAL(38, {digits}))"
