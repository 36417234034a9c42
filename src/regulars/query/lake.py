"""How Spark says what filters and groups need, and how both engines of files say what rows over facts do."""

from collections.abc import Mapping

from regulars.aggregations.engines import Macro


class Spark:
    """The dialect of Spark; parts of objects are paths of variants."""

    def is_any(self, value: str, values: str) -> str:
        return f"array_contains({values}, {value})"

    def has(self, values: str, value: str) -> str:
        return f"array_contains({values}, {value})"

    def has_any(self, values: str, others: str) -> str:
        return f"arrays_overlap({values}, {others})"

    def is_empty(self, values: str) -> str:
        return f"coalesce(size({values}), 0) = 0"

    def nth(self, values: str, place: str) -> str:
        return f"element_at({values}, CAST({place} AS INT))"

    def elements(self, values: str) -> str:
        return f"explode_outer({values})"

    def joined(self, values: str, others: str) -> str:
        return f"explode(concat({values}, {others}))"

    def keys(self, document: str) -> str:
        return f"explode(json_object_keys({document}))"

    def part(self, document: str, p: str) -> str:
        return f"variant_get(parse_json({document}), {p}, 'variant')"

    def is_null(self, document: str, p: str) -> str:
        return f"try_variant_get(parse_json({document}), {p}, 'string') IS NULL"

    def string(self, document: str, p: str) -> str:
        return self._of_type(document, p, "= 'STRING'", "string")

    def number(self, document: str, p: str) -> str:
        is_number = "RLIKE '^(BIGINT|DECIMAL|DOUBLE)'"
        return self._of_type(document, p, is_number, "decimal(38, 15)")

    def boolean(self, document: str, p: str) -> str:
        return self._of_type(document, p, "= 'BOOLEAN'", "boolean")

    def _of_type(self, document: str, p: str, test: str, type_: str) -> str:
        found = f"try_variant_get(parse_json({document}), {p}, '{type_}')"
        return f"CASE WHEN schema_of_variant({self.part(document, p)}) {test} THEN {found} END"

    def part_value(self, name: str) -> str:
        return f'$["{name}"]' if "'" in name else f"$['{name}']"


def _duckdb_bucket(at: str, interval: str, zone: str) -> str:
    wall = f"local_time({at}, {zone})"
    midnights = " ".join(
        f"WHEN '{step}' THEN date_trunc('{unit}', {wall})" for step, unit in (("1d", "day"), ("1w", "week"))
    )
    return f"""CASE {interval}
        WHEN '5m' THEN {at} - ({wall} - time_bucket(INTERVAL '5 minutes', {wall}))
        WHEN '1h' THEN {at} - ({wall} - date_trunc('hour', {wall}))
        ELSE instant_of(CAST(CASE {interval} {midnights} ELSE date_trunc('month', {wall}) END AS TIMESTAMP), {zone})
    END"""


def _spark_bucket(at: str, interval: str, zone: str) -> str:
    wall = f"from_utc_timestamp({at}, {zone})"
    fives = f"timestamp_seconds(unix_seconds({wall}) - pmod(unix_seconds({wall}), 300))"
    midnights = " ".join(
        f"WHEN '{step}' THEN date_trunc('{unit}', {wall})" for step, unit in (("1d", "day"), ("1w", "week"))
    )
    return f"""CASE {interval}
        WHEN '5m' THEN {at} - ({wall} - {fives})
        WHEN '1h' THEN {at} - ({wall} - date_trunc('hour', {wall}))
        ELSE to_utc_timestamp(CASE {interval} {midnights} ELSE date_trunc('month', {wall}) END, {zone})
    END"""


ON_DUCKDB: Mapping[str, Macro] = {
    "shown_instant": lambda at: f"timezone('UTC', {at})",
    "each_of": lambda values: f"unnest({values})",
    "each_bucket": lambda starts, ends: (
        f"unnest(list_transform(list_zip({starts}, {ends}), "
        f"lambda pair, place: {{'starts': pair[1], 'ends': pair[2], 'place': place - 1}}))"
    ),
    "passed": lambda instants, at: f"len(list_filter({instants}, lambda instant: instant <= {at}))",
    "bucket_of": _duckdb_bucket,
}
"""What rows over facts need: `each_of` is a row an element; `each_bucket` a row a bucket, its `starts` and `ends` and
its `place` from 0; `passed` counts the instants of a list that one is not before; `bucket_of` tells buckets apart, but
for those in which clocks are changed.
"""

ON_SPARK: Mapping[str, Macro] = {
    "shown_instant": lambda at: at,
    "each_of": lambda values: f"explode({values})",
    "each_bucket": lambda starts, ends: (
        f"explode(transform({starts}, (instant, place) -> "
        f"struct(instant AS starts, element_at({ends}, place + 1) AS ends, place AS place)))"
    ),
    "passed": lambda instants, at: f"size(filter({instants}, instant -> instant <= {at}))",
    "bucket_of": _spark_bucket,
}
