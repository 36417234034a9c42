"""SQL engines: dialect, input relations, and the macros that declarations call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files

from regulars.aggregations.aggregation import AggregationRegistry
from regulars.aggregations.bulk_relations import for_all_profiles
from regulars.core.field_type import FieldType

Macro = Callable[..., str]


@dataclass(frozen=True, slots=True, eq=False)
class SqlEngine:
    """An SQL engine. Two are equal only if they are the same, so that translations can be cached by engine.

    `input_ctes` are in the engine's dialect, `shared_input_ctes` in the dialect of the declarations. `column_types`
    maps PostgreSQL types to those of the engine. `output_expressions` convert the internal representation of a type.
    `adapt` exchanges relations for some with the same rows that cost the engine less.
    """

    name: str
    dialect: str
    macros: Mapping[str, Macro]
    input_ctes: str = ""
    shared_input_ctes: str = ""
    column_types: Mapping[str, str] = field(default_factory=dict)
    output_expressions: Mapping[FieldType, Macro] = field(default_factory=dict)
    adapt: Callable[[AggregationRegistry], AggregationRegistry] = lambda registry: registry


def _read_sql(name: str) -> str:
    return (files("regulars.aggregations") / name).read_text()


def _postgresql_half_even(dividend: str, divisor: str) -> str:
    # Exact for integers and decimals; null if the divisor is null or 0.
    return f"""
        (SELECT quotient + CASE
             WHEN 2 * abs(remainder) > abs(divisor) OR (2 * abs(remainder) = abs(divisor) AND mod(quotient, 2) <> 0)
             THEN sign(remainder) * sign(divisor) ELSE 0 END
         FROM (SELECT div(dividend, divisor) AS quotient, dividend - divisor * div(dividend, divisor) AS remainder, divisor
               FROM (SELECT CAST({dividend} AS NUMERIC) AS dividend,
                            CAST(nullif({divisor}, 0) AS NUMERIC) AS divisor) AS operands) AS parts)"""


def _postgresql_local_midnight(day: str, zone: str) -> str:
    # The first instant of a local date: the earlier one of an ambiguous midnight, and the start of the date if midnight
    # is skipped. A function would cost more than the remainder of the row.
    return f"""
        (SELECT CASE WHEN (midnight - INTERVAL '1 hour') AT TIME ZONE {zone} >= day
                     THEN midnight - INTERVAL '1 hour' ELSE midnight END
         FROM (SELECT CAST(day AS TIMESTAMP) AT TIME ZONE {zone} AS midnight, day
               FROM (SELECT {day} AS day) AS input) AS midnights)"""


# Macros with the same SQL on all engines.
_COMMON: Mapping[str, Macro] = {
    # Each shop day is one row with the previous and the next day.
    "next_to_first": lambda day, later: f"min({later})",
    "next_to_last": lambda day, earlier: f"max({earlier})",
    "of_last": lambda value, day, later: f"min({value}) FILTER (WHERE {later} IS NULL)",
    "store_rank": lambda k, at, external_id, location_id: (
        f"row_number() OVER (PARTITION BY {k} "
        f"ORDER BY {at} NULLS FIRST, {external_id} DESC NULLS FIRST, {location_id} DESC)"
    ),
    "within": lambda at, months: f"as_of < {at} + INTERVAL '{months} months'",
    "leaves": lambda at, months: f"{at} + INTERVAL '{months} months'",
}

# Macros with the same SQL on PostgreSQL and DuckDB.
_SINGLE_NODE: Mapping[str, Macro] = {
    **_COMMON,
    "days_between": lambda first, last: f"{last} - {first}",
    "days_after": lambda day, days: f"{day} + CAST({days} AS INT)",
    "hour_of": lambda at: f"CAST(extract(hour FROM {at}) AS BIGINT)",
    "weekday_of": lambda at: f"CAST(extract(isodow FROM {at}) AS BIGINT)",
    "in_order": lambda value, order, when: f"array_agg({value} ORDER BY {order}, {value}) FILTER (WHERE {when})",
    # The order number and the value are packed into one integer, which avoids a sort. Values must fit into 32 bits.
    "first_of": lambda value, when: f"min(n * 4294967296 + {value}) FILTER (WHERE {when}) & 4294967295",
    "last_of": lambda value, when: f"max(n * 4294967296 + {value}) FILTER (WHERE {when}) & 4294967295",
}

POSTGRESQL = SqlEngine(
    name="postgresql",
    dialect="postgres",
    input_ctes=_read_sql("inputs.postgresql.sql"),
    macros={
        **_SINGLE_NODE,
        "half_even": _postgresql_half_even,
        "half_up": lambda a, b: f"(2 * ({a}) + ({b})) / (2 * ({b}))",
        "whole": lambda a, b: f"({a}) / ({b})",
        "local_midnight": _postgresql_local_midnight,
        "most": lambda value, number, store_rank: (
            f"(max(ARRAY[CAST({number} AS BIGINT), {store_rank}, {value}]) FILTER (WHERE {number} > 0))[3]"
        ),
        "distinct_sorted": lambda value: f"array_agg(DISTINCT {value} ORDER BY {value})",
        "empty_list": lambda: "CAST('{}' AS BIGINT[])",
        "empty_strings": lambda: "CAST('{}' AS TEXT[])",
        "micros": lambda at: f"CAST(extract(epoch FROM {at}) * 1000000 AS BIGINT)",
        "digest": lambda text: f"CAST(CAST('x' || substr(md5({text}), 1, 15) AS BIT(60)) AS BIGINT)",
    },
)


def _half_even(whole_division: str) -> Macro:
    """Half-even rounding by integer division that truncates towards zero; null if the divisor is null or 0."""

    def macro(dividend: str, divisor: str) -> str:
        a, b = f"({dividend})", f"nullif({divisor}, 0)"
        quotient = f"({a} {whole_division} {b})"
        remainder = f"({a} - {b} * {quotient})"
        return f"""{quotient} + CASE
            WHEN 2 * abs({remainder}) > abs({b}) OR (2 * abs({remainder}) = abs({b}) AND {quotient} % 2 <> 0)
            THEN CASE WHEN ({a} < 0) = ({b} < 0) THEN 1 ELSE -1 END
            ELSE 0 END"""

    return macro


MAX_LOCATIONS = 2**20
"""DuckDB packs the order number of a location and an instant into one integer."""

DUCKDB = SqlEngine(
    name="duckdb",
    dialect="duckdb",
    shared_input_ctes=_read_sql("inputs.files.sql"),
    column_types={"numeric": "HUGEINT", "timestamptz": "TIMESTAMP"},
    macros={
        **_SINGLE_NODE,
        "half_even": _half_even("//"),
        "half_up": lambda a, b: f"(2 * ({a}) + ({b})) // (2 * ({b}))",
        "whole": lambda a, b: f"({a}) // ({b})",
        "local_time": lambda at, zone: f"local_time({at}, {zone})",
        "local_date": lambda at, zone: f"CAST(local_time({at}, {zone}) AS DATE)",
        "instant_of": lambda wall, zone: f"instant_of({wall}, {zone})",
        "local_midnight": lambda day, zone: f"instant_of(CAST({day} AS TIMESTAMP), {zone})",
        # Without window functions, which sort.
        "next_to_first": lambda day, later: f"list_extract(min({day}, 2), 2)",
        "next_to_last": lambda day, earlier: f"list_extract(max({day}, 2), 2)",
        "store_rank": lambda k, at, external_id, location_id: (
            f"CAST(coalesce(epoch_us({at}) + 2300000000000000, 0) AS HUGEINT) * {MAX_LOCATIONS} + locations.reverse_rank"
        ),
        # Both are packed into one integer: from 1900 to 3000 a rank is below 2^75, which leaves 2^52 for money.
        "most": lambda value, number, store_rank: (
            f"(SELECT array_agg({value} ORDER BY reverse_rank) FROM locations)[CAST("
            f"max(CAST({number} AS HUGEINT) * {2**75} + {store_rank}) FILTER (WHERE {number} > 0) & {MAX_LOCATIONS - 1} AS INT)]"
        ),
        # Brands are encoded as integers in the order of their names, because lists of strings cost several times as
        # much.
        "distinct_sorted": lambda value: f"list_sort(array_agg(DISTINCT {value}))",
        "empty_list": lambda: "CAST([] AS BIGINT[])",
        "empty_strings": lambda: "CAST([] AS BIGINT[])",
        "micros": lambda at: f"epoch_us({at})",
        "digest": lambda text: f"CAST('0x' || substr(md5({text}), 1, 15) AS BIGINT)",
    },
    output_expressions={FieldType.STRING_LIST: lambda value: f"list_select((SELECT names FROM brand_names), {value})"},
    adapt=for_all_profiles,
)

MAX_BITSET_BRANDS = 120

DUCKDB_BRAND_BITSET = replace(
    DUCKDB,
    name="duckdb, few brands",
    macros={
        **DUCKDB.macros,
        # One bit for each brand fits into one integer.
        "distinct_sorted": lambda value: f"bit_or(CAST(1 AS HUGEINT) << CAST({value} AS INT))",
        "empty_strings": lambda: "CAST(0 AS HUGEINT)",
    },
    output_expressions={
        FieldType.STRING_LIST: lambda value: (
            f"list_filter((SELECT names FROM brand_names), "
            f"lambda name, position: ({value} >> CAST(position AS INT)) & CAST(1 AS HUGEINT) = 1)"
        )
    },
)

_ORDER = "transacted_at, external_id IS NULL, external_id, id"

SPARK = SqlEngine(
    name="spark",
    dialect="spark",
    shared_input_ctes=_read_sql("inputs.files.sql"),
    column_types={"numeric": "DECIMAL(38, 0)", "timestamptz": "TIMESTAMP"},
    macros={
        **_COMMON,
        "half_even": _half_even("DIV"),
        "half_up": lambda a, b: f"(2 * ({a}) + ({b})) DIV (2 * ({b}))",
        "whole": lambda a, b: f"({a}) DIV ({b})",
        "days_between": lambda first, last: f"datediff({last}, {first})",
        "days_after": lambda day, days: f"date_add({day}, CAST({days} AS INT))",
        "local_date": lambda at, zone: f"CAST(from_utc_timestamp({at}, {zone}) AS DATE)",
        # The first instant of an ambiguous local time; a skipped one is moved forward.
        "instant_of": lambda wall, zone: f"to_utc_timestamp({wall}, {zone})",
        "local_midnight": lambda day, zone: f"to_utc_timestamp(CAST({day} AS TIMESTAMP), {zone})",
        "hour_of": lambda at: f"CAST(hour({at}) AS BIGINT)",
        "weekday_of": lambda at: f"CAST(weekday({at}) + 1 AS BIGINT)",
        "first_of": lambda value, when: f"min_by({value}, struct({_ORDER})) FILTER (WHERE {when})",
        "last_of": lambda value, when: f"max_by({value}, struct({_ORDER})) FILTER (WHERE {when})",
        "most": lambda value, number, store_rank: (
            f"max_by({value}, struct({number}, {store_rank})) FILTER (WHERE {number} > 0)"
        ),
        "in_order": lambda value, order, when: (
            f"transform(array_sort(collect_list(struct({order} IS NULL, {order}, {value} AS value)) "
            f"FILTER (WHERE {when})), each -> each.value)"
        ),
        "distinct_sorted": lambda value: f"array_sort(collect_set({value}))",
        "empty_list": lambda: "CAST(array() AS ARRAY<BIGINT>)",
        "empty_strings": lambda: "CAST(array() AS ARRAY<STRING>)",
        "micros": lambda at: f"unix_micros({at})",
        "digest": lambda text: f"CAST(conv(substr(md5({text}), 1, 15), 16, 10) AS DECIMAL(20, 0))",
    },
)

ENGINES = (POSTGRESQL, DUCKDB, SPARK)
