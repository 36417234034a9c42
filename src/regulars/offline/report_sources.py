"""The rows of reports as facts in files tell them: the same fields and measures, over relations made of files.

What the live store keeps folded is told here by what it is folded from: `turns`, a row each time that a profile came
in (n is 1) or left (-1), with the groups that it stands in; `joins`, the same rows with what the member joined as. Both
are of what counts, and `at` is an instant. Files know a profile as it is, not as it was: who has moved to another group
stands there since joining. `purchases` are what was bought, with the buyer as of that instant, and `bought_brands`
the same once for each brand; `member` tells buyers apart, null where nobody knows who it was.
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
    """The rows of a report over facts, and smaller ones for requests that ask for no other fields than these."""

    sql: str
    pre_aggregations: tuple[tuple[tuple[str, ...], str], ...] = ()


_MEMBERS = OfflineSource("SELECT * FROM members")

_TYPE = "split_part(name, ':', 1)"
_VALUE = "substr(name, 1 + strpos(name, ':'))"

_NOW = f"""
SELECT {_TYPE} AS grouping_type, {_VALUE} AS grouping_value, CAST(sum(n) AS bigint) AS members_count,
       shown_instant(max(at)) AS updated_at
FROM (SELECT each_of(groups) AS name, n, at FROM turns WHERE at <= $now) AS turned
WHERE name <> 'all:'
GROUP BY name
"""

_TERMS = " ".join(
    f"WHEN '{each.code}' THEN $now - INTERVAL '{each.retention.days} days'"
    for each in ALL_INTERVALS
    if each.retention is not None
)


def _over_time(columns: str, which: str) -> str:
    """The number at the end of each bucket. A group begins with the first bucket in which its number changes; of what
    is longer ago than buckets are kept its months tell.
    """
    return f"""
WITH turned AS (
    SELECT each_of(groups) AS name, n, place, bucket, month
    FROM (
        SELECT groups, n, passed($ends, at) AS place, bucket_of(at, $interval, $zone) AS bucket,
               bucket_of(at, '1mo', $zone) AS month
        FROM turns
        WHERE at <= $now
    ) AS placed
),
moves AS (
    SELECT * FROM turned WHERE {which}
),
begun AS (
    SELECT name, min(bucket) AS began
    FROM (SELECT name, bucket FROM moves GROUP BY name, bucket HAVING sum(n) <> 0) AS moved
    WHERE bucket >= CASE $interval {_TERMS} ELSE bucket END
    GROUP BY name
),
months AS (
    SELECT name, min(month) AS began
    FROM (SELECT name, month FROM moves GROUP BY name, month HAVING sum(n) <> 0) AS moved
    GROUP BY name
),
asked AS (
    SELECT bucket.starts, bucket.ends, bucket.place
    FROM (SELECT each_bucket($starts, $ends) AS bucket) AS each
),
levels AS (
    SELECT own.name, asked.starts, asked.ends, begun.began, months.began AS month,
           min(asked.starts) OVER (PARTITION BY own.name) AS first_starts,
           sum(coalesce(net.n, 0)) OVER (PARTITION BY own.name ORDER BY asked.place) AS n
    FROM (SELECT DISTINCT name FROM moves) AS own
    CROSS JOIN asked
    LEFT JOIN (
        SELECT name, place, sum(n) AS n FROM moves GROUP BY name, place
    ) AS net ON net.name = own.name AND net.place = asked.place
    LEFT JOIN begun ON begun.name = own.name
    LEFT JOIN months ON months.name = own.name
)
SELECT {columns} starts AS bucket, CAST(n AS bigint) AS members_count
FROM levels
WHERE starts <= $now
  AND (n <> 0 OR CASE WHEN month < first_starts - INTERVAL '32 days' THEN TRUE ELSE began < ends END)
"""


_OF_JOINS = ", ".join(f"told.{column}" for columns in DIMENSION_COLUMNS.values() for column in columns)

_BALANCE = f"""
SELECT asked.bucket.starts AS bucket, told.type, {_OF_JOINS}, 1 AS n
FROM (SELECT each_bucket($starts, $ends) AS bucket) AS asked
JOIN joins AS told ON told.at >= asked.bucket.starts AND told.at < asked.bucket.ends
WHERE told.at <= $now
"""

# Buckets of days are those of local dates, which are not in the order of instants where clocks are put back over
# midnight; by a day at most, which spares the rest a look at the clock. Shorter buckets always are in order.
_BOUGHT_OVER_TIME = """
WITH asked AS (
    SELECT each.bucket.starts, each.bucket.ends,
           bucket_number(each.bucket.starts, $starts, $interval, $zone) AS number
    FROM (SELECT each_bucket($starts, $ends) AS bucket) AS each
)
SELECT asked.starts AS bucket, bought.*
FROM {} AS bought
JOIN asked ON asked.number = bucket_number(bought.at, $starts, $interval, $zone)
WHERE bought.at >= (SELECT min(starts) FROM asked) - INTERVAL '1 day'
  AND bought.at < (SELECT max(ends) FROM asked) + INTERVAL '1 day'
  AND (bought.at < (SELECT max(ends) FROM asked) OR $interval NOT IN ('5m', '1h'))
  AND bought.at <= $now
"""

_BOUGHT = "SELECT bought.* FROM {} AS bought WHERE bought.at >= $from AND bought.at < $to AND bought.at <= $now"


def _of_purchases(sql: str) -> OfflineSource:
    fields = tuple(each.name for each in transactions.FIELDS)
    return OfflineSource(sql.format("bought_brands"), ((fields, sql.format("purchases")),))


OFFLINE_SOURCES: Mapping[str, OfflineSource] = {
    "members": _MEMBERS,
    "members_count": _MEMBERS,
    "member_aggregations": _MEMBERS,
    "members_grouped_count": OfflineSource(_NOW),
    "members_count_history": OfflineSource(
        _over_time(f"{_TYPE} AS grouping_type, {_VALUE} AS grouping_value,", "name <> 'all:'"),
        (((), _over_time("", "name = 'all:'")),),
    ),
    "member_balance": OfflineSource(_BALANCE),
    transactions.TRANSACTIONS_HISTORY.name: _of_purchases(_BOUGHT_OVER_TIME),
    transactions.TRANSACTIONS_STATS.name: _of_purchases(_BOUGHT),
}
"""What can be asked of files, by the names of the reports."""


@cache
def offline_report(report: Report, store: Backend) -> Report:
    """A report whose rows come from files."""
    facts = OFFLINE_SOURCES[report.name]
    return replace(
        report,
        fields=tuple(_named(each) for each in report.fields),
        source=RowSource(store, facts.sql),
        pre_aggregations=tuple(PreAggregation(fields, RowSource(store, sql)) for fields, sql in facts.pre_aggregations),
        measures=tuple(_counted(each) for each in report.measures),
        series_order=(),
    )


def _counted(measure: ReportMeasure) -> ReportMeasure:
    """A measure as files have it: of different members, where the live store has sets of bits, each by itself."""
    return (
        replace(measure, sql="count(DISTINCT r.member)", distinct_partition="")
        if measure.distinct_partition
        else measure
    )


_PLACES = {transactions.LOCATION.name: FieldType.STRING} | {
    each.name: FieldType.STRING if each.type is FieldType.LOCATION else FieldType.STRING_LIST
    for each in REGISTRY.stored
    if each.type in (FieldType.LOCATION, FieldType.LOCATION_LIST)
}


def _named(field: ReportField) -> ReportField:
    """A field as files have it: locations go by their external ids."""
    kind = _PLACES.get(field.name.removeprefix("aggregations."))
    return field if kind is None else replace(field, type=kind)
