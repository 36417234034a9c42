"""The report of the number of members at the last snapshot of each bucket."""

from regulars.core.field_type import FieldType
from regulars.reports.member_balance import DIMENSION_COLUMNS, DIMENSIONS
from regulars.reports.report import (
    COMMUNITY_ID,
    Backend,
    Grouping,
    PreAggregation,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
)
from regulars.rollups.intervals import HOURLY_AND_UP

COUNTRY = ReportField("country", FieldType.STRING, "ISO 3166-1 alpha-2 country.", filterable=True, groupable=True)

_DIMENSIONS = (*DIMENSIONS, COUNTRY)
_COLUMNS = {**DIMENSION_COLUMNS, "country": ("country",)}


def _counts(fields: tuple[str, ...]) -> RowSource:
    """The count at the last snapshot of each bucket: the count of the latest snapshot minus all later deltas."""
    columns = "".join(f"{column}, " for field in fields for column in _COLUMNS[field])
    return RowSource(
        Backend.POSTGRES,
        f"""
SELECT {columns}($starts::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT {columns}i, sum(sum(delta)) OVER (PARTITION BY {columns}TRUE ORDER BY i DESC) AS members_count
    FROM (
        SELECT {columns}i, CASE i WHEN cardinality($starts::timestamptz[]) THEN count ELSE 0 END AS delta
        FROM (
            SELECT {columns}sum(members_count) AS count
            FROM snapshot_counts
            WHERE community_id = $community
            GROUP BY {columns}community_id
        ) AS latest
        CROSS JOIN generate_subscripts($starts::timestamptz[], 1) AS i
        UNION ALL
        SELECT {columns}width_bucket(bucket, $ends::timestamptz[]), -delta
        FROM snapshot_rollups
        JOIN snapshot_counts USING (community_id, dimensions_hash)
        WHERE community_id = $community AND granularity = $interval AND bucket >= ($ends::timestamptz[])[1]
    ) AS deltas
    GROUP BY {columns}i
) AS levels
WHERE EXISTS (
    SELECT FROM snapshot_coverage
    WHERE community_id = $community
        AND first_at < ($ends::timestamptz[])[i] AND last_at >= ($starts::timestamptz[])[i]
)
""",
    )


MEMBERS_COUNT_SNAPSHOT = Report(
    "members_count_snapshot",
    ReportFormat.TIMESERIES,
    "Number of members at the last snapshot of each bucket; snapshots are taken every 15 minutes.",
    cost=3,
    fields=(COMMUNITY_ID, *_DIMENSIONS),
    source=_counts(tuple(_COLUMNS)),
    pre_aggregations=(
        PreAggregation((), _counts(())),
        *(PreAggregation((each.name,), _counts((each.name,))) for each in _DIMENSIONS),
    ),
    groupings=(Grouping("total", (), "The number of members."),),
    measures=(ReportMeasure("members_count", FieldType.INTEGER, "Count of members", "sum(r.members_count)"),),
    is_gauge=True,
    count_measure="members_count",
    intervals=HOURLY_AND_UP,
)

REPORTS: tuple[Report, ...] = (MEMBERS_COUNT_SNAPSHOT,)
