"""Plan steps from fact tables to the output: requested profiles and instants, values, and their output format."""

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

_MAX_TIES = 1_048_576
"""Upper bound of the transactions of one profile at one instant."""


def ordered_transactions(has_ties: bool, dialect: CastDialect) -> list[PlanStep]:
    """The transactions with `n`, their order within a profile."""
    if not dialect.uses_ordinals:
        return [PlanStep("ordered_transactions", "SELECT t.*, CAST(0 AS BIGINT) AS n FROM fact_transactions AS t")]
    instant = f"CAST(epoch_us(t.transacted_at) AS HUGEINT) * {_MAX_TIES}"
    if not has_ties:
        return [PlanStep("ordered_transactions", f"SELECT t.*, {instant} AS n FROM fact_transactions AS t")]
    return [
        PlanStep(
            "fact_ties",
            """SELECT profile, transacted_at, external_id, id,
       row_number() OVER (PARTITION BY profile, transacted_at ORDER BY external_id NULLS LAST, id) AS position
FROM fact_transactions
SEMI JOIN (
    SELECT profile, transacted_at FROM fact_transactions GROUP BY ALL HAVING count(*) > 1
) AS ties USING (profile, transacted_at)""",
            is_materialized=True,
        ),
        PlanStep(
            "ordered_transactions",
            f"""SELECT t.*, {instant} + coalesce(tie.position, 0) AS n
FROM fact_transactions AS t
LEFT JOIN fact_ties AS tie
  ON tie.profile = t.profile
 AND tie.transacted_at = t.transacted_at
 AND tie.external_id IS NOT DISTINCT FROM t.external_id
 AND tie.id = t.id""",
        ),
    ]


def order_sensitive_profiles(registry: AggregationRegistry, engine: SqlEngine) -> str | None:
    """Query for profiles whose values depend on the order of transactions at one instant; None if no value does."""
    calls = order_sensitive_calls(registry)
    if not calls:
        return None
    differ = [f"{translate(call, engine)} <> 4294967295 - {translate(mirrored, engine)}" for call, mirrored in calls]
    inputs = ",\n".join(f"{name} AS (\n{sql}\n)" for name, sql in shared_input_ctes(engine))
    return f"WITH {inputs}\nSELECT k\nFROM history\nGROUP BY k\nHAVING " + "\n    OR ".join(differ) + "\nLIMIT 1"


def branded_lines(dialect: CastDialect) -> list[PlanStep]:
    """The sold lines with their brands, encoded as ordinals if the engine uses them."""
    if not dialect.uses_ordinals:
        return [PlanStep("branded_lines", "SELECT * FROM fact_lines")]
    return [
        *dictionary_encoding.brand_dictionary("SELECT DISTINCT brand FROM fact_lines"),
        PlanStep(
            "branded_lines",
            """SELECT line.profile, line.transacted_at, b.brand
FROM fact_lines AS line
JOIN fact_brands AS b ON b.name = line.brand""",
        ),
    ]


def _windows(as_of: str, *, has_leap_day: bool) -> str:
    """Whether a transaction `t` is within 12 and 24 months.

    Months are added to its instant, which moves 29 February back by a day. Unless the instant of values `has_leap_day`
    near its windows' ends, one comparison is enough.
    """
    return ",\n       ".join(f"{_within(as_of, months, has_leap_day)} AS within_{months}m" for months in (12, 24))


def _within(as_of: str, months: int, has_leap_day: bool) -> str:
    end = f"{as_of} - INTERVAL '{months} months'"
    if not has_leap_day:
        return f"t.transacted_at > {end}"
    # Calendar arithmetic for every row costs more than all else, so the others are compared.
    return f"""CASE WHEN t.transacted_at > {end} + INTERVAL '4 days' THEN TRUE
            WHEN t.transacted_at > {end} - INTERVAL '4 days'
            THEN {as_of} < t.transacted_at + INTERVAL '{months} months'
            ELSE FALSE END"""


def as_of_spine(as_of: datetime) -> list[PlanStep]:
    """Requests for all profiles at one instant, which need no joins."""
    at = timestamp_literal(as_of)
    return [
        PlanStep("requested", f"SELECT profile AS k, profile, profile_id, {at} AS as_of FROM fact_profiles"),
        PlanStep(
            "requested_transactions",
            f"""SELECT profile AS k, t.*, {at} AS as_of,
       {_windows(at, has_leap_day=_is_near_leap_day(as_of))}
FROM ordered_transactions AS t
WHERE transacted_at <= {at}""",
        ),
        PlanStep("requested_lines", f"SELECT profile AS k, brand FROM branded_lines WHERE transacted_at <= {at}"),
        PlanStep(
            "future_transactions",
            f"""SELECT profile AS k, min(transacted_at) AS next_future_at
FROM fact_transactions
WHERE transacted_at > {at}
GROUP BY profile""",
        ),
    ]


def _is_near_leap_day(at: datetime) -> bool:
    return (at.astimezone(UTC).month, at.astimezone(UTC).day) in ((2, 28), (2, 29))


def entity_spine(club: ClubContext, dialect: CastDialect) -> list[PlanStep]:
    """Requests for the distinct rows of the entity table."""
    at = dialect.engine.macros["instant_of"]("entity.as_of_local", f"'{club.timezone}'")
    return [
        PlanStep(
            "requested",
            f"""SELECT {dialect.spine_key} AS k, entity.*
FROM (
    SELECT DISTINCT p.profile, p.profile_id, coalesce(entity.as_of, {at}) AS as_of
    FROM typed_as_of AS entity
    JOIN fact_profiles AS p ON p.profile_id = entity.profile
) AS entity""",
            is_materialized=True,
        ),
        PlanStep(
            "requested_transactions",
            f"""SELECT requested.k, t.*, requested.as_of,
       {_windows("requested.as_of", has_leap_day=True)}
FROM requested
JOIN ordered_transactions AS t ON t.profile = requested.profile AND t.transacted_at <= requested.as_of""",
        ),
        PlanStep(
            "requested_lines",
            """SELECT requested.k, line.brand
FROM requested
JOIN branded_lines AS line ON line.profile = requested.profile AND line.transacted_at <= requested.as_of""",
        ),
        PlanStep(
            "future_transactions",
            """SELECT requested.k, min(t.transacted_at) AS next_future_at
FROM requested
JOIN fact_transactions AS t ON t.profile = requested.profile AND t.transacted_at > requested.as_of
GROUP BY requested.k""",
        ),
    ]


def timestamp_literal(at: datetime) -> str:
    """SQL literal of an instant, in UTC."""
    return f"TIMESTAMP '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"


def club_step(club: ClubContext) -> PlanStep:
    """The relation `club` of one row that definitions read."""
    return PlanStep(
        "club", f"SELECT '{club.timezone}' AS zone, '{club.currency}' AS currency, CAST(0 AS BIGINT) AS values_version"
    )


_MATERIALIZED = {"history", "places", "votes", "countries"}


def stored_values(registry: AggregationRegistry, engine: SqlEngine, dialect: CastDialect) -> list[PlanStep]:
    """The values as the server stores them, with their next change.

    One statement for engines that compute a CTE once, else one relation after the other.
    """
    if dialect.uses_ordinals:
        return [PlanStep("stored_values", _statement(registry, engine.name))]
    relations = build_relations(registry, engine)
    return [
        *(PlanStep(name, sql, is_materialized=name in _MATERIALIZED) for name, sql in relations),
        PlanStep("stored_values", select_values(registry, engine, relations[-1][0])),
    ]


@cache
def _statement(registry: AggregationRegistry, engine: str) -> str:
    # Translating all declarations takes as long as computing a thousand profiles.
    return compile_statement(registry, {each.name: each for each in (*ENGINES, DUCKDB_BRAND_BITSET)}[engine])


def output_select(
    aggregations: Sequence[Aggregation], club: ClubContext, dialect: CastDialect, *, money_as_float: bool = False
) -> str:
    """SELECT of the output: decimals or floating-point numbers, timestamps in UTC, locations as external ids."""

    def column(of: Aggregation) -> str:
        sql = _output(of, club, dialect)
        is_decimal = of.type in (FieldType.MONEY, FieldType.PERCENT)
        return f"CAST({sql} AS DOUBLE)" if money_as_float and is_decimal else sql

    columns = ",\n       ".join(f"{column(each)} AS {each.name}" for each in aggregations)
    types = {each.type for each in aggregations}
    select = f"SELECT {columns}\nFROM stored_values AS value"
    if types & {FieldType.LOCATION, FieldType.LOCATION_LIST}:
        select += f"""
CROSS JOIN (
    SELECT {dialect.location_names} AS names
    FROM fact_locations
) AS location"""
    if FieldType.COUNTRY_ALPHA_3 in types:
        select += "\nJOIN country_codes ON country_codes.alpha_2 = coalesce(value.likely_country, '')"
    return select


def _output(aggregation: Aggregation, club: ClubContext, dialect: CastDialect) -> str:
    column = f"value.{aggregation.name}"
    if aggregation is fingerprint.FINGERPRINT:
        return f"'{fingerprint.fingerprint_version()} ' || {column}"
    match aggregation.type:
        case FieldType.MONEY:
            return _decimal(column, club.minor_digits)
        case FieldType.PERCENT:
            return _decimal(column, 2)
        case FieldType.COUNTRY_ALPHA_3:
            return "country_codes.alpha_3"
        case FieldType.LOCATION:
            return dialect.name_at("location.names", column)
        case FieldType.LOCATION_LIST:
            return dialect.names_at("location.names", column)
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
