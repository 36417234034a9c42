"""Row sources of reports over files: the same fields and measures as on the server, over relations of files.

Where the server reads rollups, these sources read the events: `membership_deltas` has a row for each counted join
(delta is 1) and leave (-1) with the current groups of the profile, `joins` the same rows with the attributes of the
join. `at` is an instant. Files contain only the current state of a profile, so it is counted in its current groups
since joining. `purchases` has a row for each purchase with the buyer as of its instant, `purchase_brands` a row for
each brand of it; `member` identifies the buyer and is null for anonymous purchases.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from regulars.aggregations.definitions import REGISTRY
from regulars.core.field_type import FieldType
from regulars.reports import transactions
from regulars.reports.member_balance import DIMENSION_COLUMNS
from regulars.reports.report import Backend, PreAggregation, Report, ReportField, ReportMeasure, RowSource
from regulars.rollups.intervals import ALL_INTERVALS


@dataclass(frozen=True, slots=True)
class OfflineSource:
    """SQL of the rows of a report, and of smaller row sets for requests that use only certain fields."""

    sql: str
    pre_aggregations: tuple[tuple[tuple[str, ...], str], ...] = ()


_MEMBERS = OfflineSource("SELECT * FROM members")

_TYPE = "split_part(name, ':', 1)"
_VALUE = "substr(name, 1 + strpos(name, ':'))"

_CURRENT_COUNTS = f"""
SELECT {_TYPE} AS grouping_type, {_VALUE} AS grouping_value, CAST(sum(delta) AS bigint) AS members_count,
       CAST(sum(delta) AS bigint) AS exact_count, shown_instant(max(at)) AS updated_at
FROM (SELECT each_of(groups) AS name, delta, at FROM membership_deltas WHERE at <= $now) AS deltas_by_group
WHERE name <> 'all:'
GROUP BY name
"""

_RETENTION_STARTS = " ".join(
    f"WHEN '{each.code}' THEN $now - INTERVAL '{each.retention.days} days'"
    for each in ALL_INTERVALS
    if each.retention is not None
)


def _over_time(columns: str, condition: str) -> str:
    """SQL of the number of members at the end of each bucket.

    A group starts with the first bucket in which its number changes; beyond the retention of the interval, with the
    first such month.
    """
    return f"""
WITH deltas_by_group AS (
    SELECT each_of(groups) AS name, delta, position, bucket, month
    FROM (
        SELECT groups, delta, passed($ends, at) AS position, bucket_of(at, $interval, $zone) AS bucket,
               bucket_of(at, '1mo', $zone) AS month
        FROM membership_deltas
        WHERE at <= $now
    ) AS bucketed
),
selected AS (
    SELECT * FROM deltas_by_group WHERE {condition}
),
starts_at AS (
    SELECT name, min(bucket) AS first_bucket
    FROM (SELECT name, bucket FROM selected GROUP BY name, bucket HAVING sum(delta) <> 0) AS changed
    WHERE bucket >= CASE $interval {_RETENTION_STARTS} ELSE bucket END
    GROUP BY name
),
months AS (
    SELECT name, min(month) AS first_bucket
    FROM (SELECT name, month FROM selected GROUP BY name, month HAVING sum(delta) <> 0) AS changed
    GROUP BY name
),
requested AS (
    SELECT bucket.starts, bucket.ends, bucket.place AS position
    FROM (SELECT each_bucket($starts, $ends) AS bucket) AS each
),
levels AS (
    SELECT g.name, requested.starts, requested.ends, starts_at.first_bucket, months.first_bucket AS month,
           min(requested.starts) OVER (PARTITION BY g.name) AS first_starts,
           sum(coalesce(net.delta, 0)) OVER (PARTITION BY g.name ORDER BY requested.position) AS members_count
    FROM (SELECT DISTINCT name FROM selected) AS g
    CROSS JOIN requested
    LEFT JOIN (
        SELECT name, position, sum(delta) AS delta FROM selected GROUP BY name, position
    ) AS net ON net.name = g.name AND net.position = requested.position
    LEFT JOIN starts_at ON starts_at.name = g.name
    LEFT JOIN months ON months.name = g.name
)
SELECT {columns} starts AS bucket, CAST(members_count AS bigint) AS members_count
FROM levels
WHERE starts <= $now
  AND (members_count <> 0 OR CASE WHEN month < first_starts - INTERVAL '32 days' THEN TRUE ELSE first_bucket < ends END)
"""


_JOIN_COLUMNS = ", ".join(f"j.{column}" for columns in DIMENSION_COLUMNS.values() for column in columns)

_BALANCE = f"""
SELECT requested.bucket.starts AS bucket, j.type, {_JOIN_COLUMNS}, 1 AS count
FROM (SELECT each_bucket($starts, $ends) AS bucket) AS requested
JOIN joins AS j ON j.at >= requested.bucket.starts AND j.at < requested.bucket.ends
WHERE j.at <= $now
"""

# Day buckets are local dates, which are not in the order of instants if clocks are set back over midnight. They differ
# by a day at most, so other rows need no conversion. Shorter buckets are always in order.
_PURCHASES_OVER_TIME = """
WITH requested AS (
    SELECT each.bucket.starts, each.bucket.ends,
           bucket_number(each.bucket.starts, $starts, $interval, $zone) AS number
    FROM (SELECT each_bucket($starts, $ends) AS bucket) AS each
)
SELECT requested.starts AS bucket, purchase.*
FROM {} AS purchase
JOIN requested ON requested.number = bucket_number(purchase.at, $starts, $interval, $zone)
WHERE purchase.at >= (SELECT min(starts) FROM requested) - INTERVAL '1 day'
  AND purchase.at < (SELECT max(ends) FROM requested) + INTERVAL '1 day'
  AND (purchase.at < (SELECT max(ends) FROM requested) OR $interval NOT IN ('5m', '1h'))
  AND purchase.at <= $now
"""

_PURCHASES = (
    "SELECT purchase.* FROM {} AS purchase WHERE purchase.at >= $from AND purchase.at < $to AND purchase.at <= $now"
)


def _of_purchases(sql: str) -> OfflineSource:
    fields = tuple(each.name for each in transactions.FIELDS)
    return OfflineSource(sql.format("purchase_brands"), ((fields, sql.format("purchases")),))


OFFLINE_SOURCES: Mapping[str, OfflineSource] = {
    "members": _MEMBERS,
    "members_count": _MEMBERS,
    "member_aggregations": _MEMBERS,
    "members_grouped_count": OfflineSource(_CURRENT_COUNTS),
    "members_count_history": OfflineSource(
        _over_time(f"{_TYPE} AS grouping_type, {_VALUE} AS grouping_value,", "name <> 'all:'"),
        (((), _over_time("", "name = 'all:'")),),
    ),
    "member_balance": OfflineSource(_BALANCE),
    transactions.TRANSACTIONS_HISTORY.name: _of_purchases(_PURCHASES_OVER_TIME),
    transactions.TRANSACTIONS_STATS.name: _of_purchases(_PURCHASES),
}
"""Row sources by name of the report."""


@cache
def offline_report(report: Report, backend: Backend) -> Report:
    """The report with row sources over files."""
    source = OFFLINE_SOURCES[report.name]
    return replace(
        report,
        fields=tuple(_offline_field(each) for each in report.fields),
        source=RowSource(backend, source.sql),
        pre_aggregations=tuple(
            PreAggregation(fields, RowSource(backend, sql)) for fields, sql in source.pre_aggregations
        ),
        measures=tuple(_offline_measure(each) for each in report.measures),
        series_order=(),
    )


def _offline_measure(measure: ReportMeasure) -> ReportMeasure:
    """The measure over files: distinct members are counted from rows instead of bitmaps."""
    return (
        replace(measure, sql="count(DISTINCT r.member)", distinct_partition="")
        if measure.distinct_partition
        else measure
    )


_LOCATION_TYPES = {transactions.LOCATION.name: FieldType.STRING} | {
    each.name: FieldType.STRING if each.type is FieldType.LOCATION else FieldType.STRING_LIST
    for each in REGISTRY.stored
    if each.type in (FieldType.LOCATION, FieldType.LOCATION_LIST)
}


def _offline_field(field: ReportField) -> ReportField:
    """The field over files: locations are external ids."""
    field_type = _LOCATION_TYPES.get(field.name.removeprefix("aggregations."))
    return field if field_type is None else replace(field, type=field_type)
