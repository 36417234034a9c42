"""How Spark says what filters and groups need, and how both engines of files say what rows over facts do."""

from collections.abc import Mapping

from regulars.aggregations.engines import Macro


class SparkDialect:
    """The dialect of Spark; parts of objects are paths of variants."""

    def equals_any(self, value: str, values: str) -> str:
        return f"array_contains({values}, {value})"

    def contains(self, values: str, value: str) -> str:
        return f"array_contains({values}, {value})"

    def overlaps(self, values: str, others: str) -> str:
        return f"arrays_overlap({values}, {others})"

    def is_empty(self, values: str) -> str:
        return f"coalesce(size({values}), 0) = 0"

    def element_at(self, values: str, place: str) -> str:
        return f"element_at({values}, CAST({place} AS INT))"

    def unnest(self, values: str) -> str:
        return f"explode_outer({values})"

    def unnest_concat(self, values: str, others: str) -> str:
        return f"explode(concat({values}, {others}))"

    def object_keys(self, document: str) -> str:
        return f"explode(json_object_keys({document}))"

    def object_value(self, document: str, p: str) -> str:
        return f"variant_get(parse_json({document}), {p}, 'variant')"

    def object_value_is_null(self, document: str, p: str) -> str:
        return f"try_variant_get(parse_json({document}), {p}, 'string') IS NULL"

    def string_value(self, document: str, p: str) -> str:
        return self._of_type(document, p, "= 'STRING'", "string")

    def number_value(self, document: str, p: str) -> str:
        is_number = "RLIKE '^(BIGINT|DECIMAL|DOUBLE)'"
        return self._of_type(document, p, is_number, "decimal(38, 15)")

    def boolean_value(self, document: str, p: str) -> str:
        return self._of_type(document, p, "= 'BOOLEAN'", "boolean")

    def _of_type(self, document: str, p: str, test: str, type_: str) -> str:
        found = f"try_variant_get(parse_json({document}), {p}, '{type_}')"
        return f"CASE WHEN schema_of_variant({self.object_value(document, p)}) {test} THEN {found} END"

    def key_parameter(self, name: str) -> str:
        return f'$["{name}"]' if "'" in name else f"$['{name}']"


def _midnight(wall: str, interval: str) -> str:
    """The wall time at which a bucket of days begins."""
    return f"""CASE {interval}
        WHEN '1d' THEN date_trunc('day', {wall})
        WHEN '1w' THEN date_trunc('week', {wall})
        ELSE date_trunc('month', {wall})
    END"""


def _numbered(passed: str, days: str, interval: str) -> str:
    return f"CASE WHEN {interval} IN ('5m', '1h') THEN {passed} ELSE {days} END"


def _duckdb_number(at: str, starts: str, interval: str, zone: str) -> str:
    # Starts come with a zone, and what has one already would be moved the other way.
    midnight = _midnight(f"local_time(CAST({at} AS TIMESTAMP), {zone})", interval)
    return _numbered(_duckdb_passed(starts, at), f"CAST({midnight} AS DATE) - DATE '1970-01-01'", interval)


def _spark_number(at: str, starts: str, interval: str, zone: str) -> str:
    midnight = _midnight(f"from_utc_timestamp({at}, {zone})", interval)
    return _numbered(_spark_passed(starts, at), f"unix_date(CAST({midnight} AS DATE))", interval)


def _duckdb_passed(instants: str, at: str) -> str:
    return f"len(list_filter({instants}, lambda instant: instant <= {at}))"


def _spark_passed(instants: str, at: str) -> str:
    return f"size(filter({instants}, instant -> instant <= {at}))"


def _duckdb_bucket(at: str, interval: str, zone: str) -> str:
    wall = f"local_time({at}, {zone})"
    return f"""CASE {interval}
        WHEN '5m' THEN {at} - ({wall} - time_bucket(INTERVAL '5 minutes', {wall}))
        WHEN '1h' THEN {at} - ({wall} - date_trunc('hour', {wall}))
        ELSE instant_of(CAST({_midnight(wall, interval)} AS TIMESTAMP), {zone})
    END"""


def _spark_bucket(at: str, interval: str, zone: str) -> str:
    wall = f"from_utc_timestamp({at}, {zone})"
    fives = f"timestamp_seconds(unix_seconds({wall}) - pmod(unix_seconds({wall}), 300))"
    return f"""CASE {interval}
        WHEN '5m' THEN {at} - ({wall} - {fives})
        WHEN '1h' THEN {at} - ({wall} - date_trunc('hour', {wall}))
        ELSE to_utc_timestamp({_midnight(wall, interval)}, {zone})
    END"""


DUCKDB_FILE_MACROS: Mapping[str, Macro] = {
    "shown_instant": lambda at: f"timezone('UTC', {at})",
    "each_of": lambda values: f"unnest({values})",
    "each_bucket": lambda starts, ends: (
        f"unnest(list_transform(list_zip({starts}, {ends}), "
        f"lambda pair, place: {{'starts': pair[1], 'ends': pair[2], 'place': place - 1}}))"
    ),
    "passed": _duckdb_passed,
    "bucket_of": _duckdb_bucket,
    "bucket_number": _duckdb_number,
}
"""What rows over facts need: `each_of` is a row an element; `each_bucket` a row a bucket, its `starts` and `ends` and
its `place` from 0; `passed` counts the instants of a list that one is not before; `bucket_of` tells buckets apart, but
for those in which clocks are changed; `bucket_number` is one number for all instants of a bucket, of whose starts it
is told.
"""

SPARK_FILE_MACROS: Mapping[str, Macro] = {
    "shown_instant": lambda at: at,
    "each_of": lambda values: f"explode({values})",
    "each_bucket": lambda starts, ends: (
        f"explode(transform({starts}, (instant, place) -> "
        f"struct(instant AS starts, element_at({ends}, place + 1) AS ends, place AS place)))"
    ),
    "passed": _spark_passed,
    "bucket_of": _spark_bucket,
    "bucket_number": _spark_number,
}
