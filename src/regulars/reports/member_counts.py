"""Reports of the number of members in each group of a community, now and over time."""

from regulars.core.field_type import FieldType
from regulars.reports.report import (
    COMMUNITY_ID,
    Backend,
    EnumValue,
    Grouping,
    PreAggregation,
    Report,
    ReportField,
    ReportFormat,
    ReportMeasure,
    RowSource,
)
from regulars.reports.small_groups import IS_SUPPRESSED, SMALLER_GROUPS
from regulars.rollups.intervals import ALL_INTERVALS

GROUPING_TYPES = (
    "optin_channel", "optin_subchannel", "optin_platform", "birth_year_group", "consent_true", "consent_false",
    "marketing_true", "marketing_false", "subunit_id", "group_id", "favorite_store", "country", "gender",
)  # fmt: skip
"""The dimensions that members are counted by."""

UNCOMPACTED = """recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = $community), '0'
            )"""
"""The condition on deltas that are not compacted yet."""

COMMUNITY_TIMEZONE = "(SELECT timezone FROM communities WHERE id = $community)"

_TYPE = ReportField(
    "grouping_type",
    FieldType.STRING,
    "Indicates aggregation group type.",
    filterable=True,
    values=tuple(map(EnumValue, GROUPING_TYPES)),
)
_VALUE = ReportField("grouping_value", FieldType.STRING, "Indicates aggregation group value.", filterable=True)

_GROUP_KEY = (_TYPE.name, _VALUE.name)

# Now ----------------------------------------------------------------------------------------------------------

# A suppressed count is null, so filters cannot reveal it; sums over communities are of exact counts, and suppressed after
# adding. Deltas of one commit are netted: a commit whose deltas cancel out does not change updated_at.
_NOW = f"""
WITH counts AS NOT MATERIALIZED (
    SELECT
        grouping_type, grouping_value, CAST(sum(delta) AS bigint) AS members_count,
        coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
    FROM (
        SELECT grouping_type, grouping_value, members_count AS delta, updated_at AS changed_at, TRUE AS changes
        FROM group_counts
        WHERE community_id = $community AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, sum(delta), max(changed_at), sum(delta) <> 0
        FROM group_count_deltas
        WHERE community_id = $community AND grouping_type <> 'all'
            AND {UNCOMPACTED}
        GROUP BY grouping_type, grouping_value, recorded_xid
    ) AS deltas
    GROUP BY grouping_type, grouping_value
)
SELECT
    grouping_type, grouping_value, updated_at, members_count AS exact_count,
    CASE WHEN $min_cell_size <= 1 OR (grouping_type, grouping_value) NOT IN (
        SELECT grouping_type, grouping_value
        FROM (
            SELECT
                grouping_type, grouping_value, members_count,
                count(*) OVER smaller AS smaller_groups, sum(members_count) OVER smaller AS smaller_count
            FROM counts
            WHERE members_count > 0
            WINDOW smaller AS ({SMALLER_GROUPS}
            )
        ) AS ranked
        WHERE {IS_SUPPRESSED}
    ) THEN members_count END AS members_count
FROM counts
"""

MEMBERS_GROUPED_COUNT = Report(
    "members_grouped_count",
    ReportFormat.RECORDS,
    "Simple aggregated counts of members in a loyalty club (community).",
    cost=2,
    fields=(
        COMMUNITY_ID,
        _TYPE,
        _VALUE,
        ReportField(
            "members_count", FieldType.INTEGER, "Count of members in given aggregation group.", filterable=True
        ),
        ReportField(
            "updated_at",
            FieldType.TIMESTAMP,
            "Time when last change of members_count was done. "
            "Note that it may be not the same as last time of member's update.",
            filterable=True,
        ),
    ),
    source=RowSource(Backend.POSTGRES, _NOW),
    key=("community_id", "grouping_type", "grouping_value"),
    groupings=(
        Grouping(
            "by_grouping_type_and_value",
            ("grouping_type", "grouping_value"),
            "Member count aggregated by grouping_type and grouping_value. This aggregation can be only useful when "
            "you want to sum counts between multiple loyalty clubs.",
        ),
    ),
    measures=(ReportMeasure("members_count", FieldType.INTEGER, "Count of members", "sum(r.exact_count)"),),
    count_measure="members_count",
    group_key=_GROUP_KEY,
)

# Over time ----------------------------------------------------------------------------------------------------


_RETENTIONS = " ".join(
    f"WHEN '{each.code}' THEN interval '{each.retention.days} days'"
    for each in ALL_INTERVALS
    if each.retention is not None
)
_RETENTION_START = f"coalesce($now::timestamptz - CASE $interval {_RETENTIONS} END, '-infinity')"
"""The start of the retention of buckets."""

_POSITION = f"array_position(ARRAY[{', '.join(map(repr, GROUPING_TYPES))}], grouping_type)"


_LEVELS = f"""CROSS JOIN LATERAL (
    SELECT
        i,
        own.count - sum(coalesce(later.delta, 0)) OVER (ORDER BY i DESC) AS members_count,
        CASE WHEN own.month < ($starts::timestamptz[])[1] - interval '32 days' THEN own.month ELSE (
            SELECT min(bucket)
            FROM (
                SELECT bucket
                FROM (
                    SELECT bucket, delta
                    FROM group_rollups
                    WHERE community_id = $community AND granularity = $interval
                        AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                    UNION ALL
                    SELECT bucket_start(bucket, $interval, {COMMUNITY_TIMEZONE}), delta
                    FROM unnest(own.pending_buckets, own.pending_deltas) AS pending (bucket, delta)
                ) AS deltas
                WHERE bucket >= {_RETENTION_START}
                GROUP BY bucket
                HAVING sum(delta) <> 0
            ) AS changes_of_count
        ) END AS began
    FROM generate_subscripts($starts::timestamptz[], 1) AS i
    LEFT JOIN (
        SELECT width_bucket(bucket, $ends::timestamptz[]) AS i, sum(delta) AS delta
        FROM (
            SELECT bucket, delta
            FROM group_rollups
            WHERE community_id = $community AND granularity = $interval
                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                AND bucket >= ($ends::timestamptz[])[1]
            UNION ALL
            SELECT bucket, delta
            FROM unnest(own.pending_buckets, own.pending_deltas) AS pending (bucket, delta)
            WHERE bucket >= ($ends::timestamptz[])[1]
        ) AS deltas
        GROUP BY 1
    ) AS later USING (i)
) AS levels"""
"""The members of a group at the end of each bucket, and the first bucket in which their number changes."""


def _counts(which: str) -> str:
    """The current count of each group, its first month with a change, and its changes that are not compacted yet."""
    return f"""FROM (
    SELECT
        grouping_type, grouping_value, {_POSITION} AS place, sum(delta) AS count, min(month) AS month,
        array_agg(bucket) FILTER (WHERE bucket IS NOT NULL) AS pending_buckets,
        array_agg(delta) FILTER (WHERE bucket IS NOT NULL) AS pending_deltas
    FROM (
        SELECT
            grouping_type, grouping_value, members_count AS delta, CAST(NULL AS timestamptz) AS month,
            CAST(NULL AS timestamptz) AS bucket
        FROM group_counts
        WHERE community_id = $community AND {which}
        UNION ALL
        SELECT grouping_type, grouping_value, delta, CAST(NULL AS timestamptz), bucket
        FROM group_count_deltas
        WHERE community_id = $community AND {which}
            AND {UNCOMPACTED}
        UNION ALL
        SELECT grouping_type, grouping_value, 0, bucket, CAST(NULL AS timestamptz)
        FROM (
            SELECT grouping_type, grouping_value, bucket, delta
            FROM group_rollups
            WHERE community_id = $community AND granularity = '1mo' AND {which}
            UNION ALL
            SELECT grouping_type, grouping_value, bucket_start(bucket, '1mo', {COMMUNITY_TIMEZONE}), delta
            FROM group_count_deltas
            WHERE community_id = $community AND {which}
                AND {UNCOMPACTED}
        ) AS deltas
        GROUP BY grouping_type, grouping_value, bucket
        HAVING sum(delta) <> 0
    ) AS counts
    GROUP BY grouping_type, grouping_value
    ORDER BY place, grouping_value
) AS own"""


def _over_time(columns: str, which: str) -> str:
    """The count at the end of each bucket: the current count minus all later deltas.

    A series starts with the first bucket in which its count changes; for changes before the retention of the interval
    that is derived from months, which are retained forever. Groups are computed lazily and in order, so that a LIMIT
    does not compute the others.
    """
    return f"""
SELECT {columns} ($starts::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
{_counts(which)}
{_LEVELS}
WHERE ($starts::timestamptz[])[i] <= $now AND (began < ($ends::timestamptz[])[i] OR members_count <> 0)
"""


MEMBERS_COUNT_HISTORY = Report(
    "members_count_history",
    ReportFormat.TIMESERIES,
    "Number of members in each group at the end of each bucket; `total` is the number of members.",
    cost=3,
    fields=(COMMUNITY_ID, _TYPE, _VALUE),
    source=RowSource(Backend.POSTGRES, _over_time("grouping_type, grouping_value, place,", "grouping_type <> 'all'")),
    pre_aggregations=(PreAggregation((), RowSource(Backend.POSTGRES, _over_time("", "grouping_type = 'all'"))),),
    default_group_by=("grouping_type", "grouping_value"),
    groupings=(
        Grouping("community_id", ("community_id", "grouping_type", "grouping_value"), "By community and group."),
        Grouping("total", (), "The number of members."),
    ),
    measures=(
        ReportMeasure("members_count", FieldType.INTEGER, "Count of members", "CAST(sum(r.members_count) AS bigint)"),
    ),
    series_order=("r.place", "r.grouping_value"),
    is_gauge=True,
    count_measure="members_count",
    group_key=_GROUP_KEY,
    intervals=ALL_INTERVALS,
)

REPORTS: tuple[Report, ...] = (MEMBERS_GROUPED_COUNT, MEMBERS_COUNT_HISTORY)
