"""Macros of both file engines, DuckDB and Spark, for rows that are computed from facts."""

from collections.abc import Mapping

from regulars.aggregations.engines import Macro


def _midnight(local: str, interval: str) -> str:
    """The local time at which a calendar bucket begins."""
    return f"""CASE {interval}
        WHEN '1d' THEN date_trunc('day', {local})
        WHEN '1w' THEN date_trunc('week', {local})
        ELSE date_trunc('month', {local})
    END"""


def _numbered(passed: str, days: str, interval: str) -> str:
    return f"CASE WHEN {interval} IN ('5m', '1h') THEN {passed} ELSE {days} END"


def _duckdb_number(at: str, starts: str, interval: str, zone: str) -> str:
    # A timestamp with a time zone would be converted in the opposite direction.
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
    local = f"local_time({at}, {zone})"
    return f"""CASE {interval}
        WHEN '5m' THEN {at} - ({local} - time_bucket(INTERVAL '5 minutes', {local}))
        WHEN '1h' THEN {at} - ({local} - date_trunc('hour', {local}))
        ELSE instant_of(CAST({_midnight(local, interval)} AS TIMESTAMP), {zone})
    END"""


def _spark_bucket(at: str, interval: str, zone: str) -> str:
    local = f"from_utc_timestamp({at}, {zone})"
    fives = f"timestamp_seconds(unix_seconds({local}) - pmod(unix_seconds({local}), 300))"
    return f"""CASE {interval}
        WHEN '5m' THEN {at} - ({local} - {fives})
        WHEN '1h' THEN {at} - ({local} - date_trunc('hour', {local}))
        ELSE to_utc_timestamp({_midnight(local, interval)}, {zone})
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
"""Macros of rows over facts: `each_of` unnests a list; `each_bucket` returns a row for each bucket with its `starts`,
`ends` and `place` from 0; `passed` counts the elements of a list of instants that are not after one; `bucket_of` is the
start of a bucket, except within hours in which the clocks change; `bucket_number` is one number for all instants of a
bucket, given the starts of the buckets.
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
