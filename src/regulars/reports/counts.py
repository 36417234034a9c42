"""How many members stand in each group of a community, now and over time."""

from regulars.reports.interval import EVERY
from regulars.reports.report import (
    COMMUNITY_ID,
    Aggregation,
    Field,
    Format,
    Grain,
    Kind,
    Measure,
    Report,
    Source,
    Store,
    Value,
)

GROUPING_TYPES = (
    "optin_channel", "optin_subchannel", "optin_platform", "birth_year_group", "consent_true", "consent_false",
    "marketing_true", "marketing_false", "subunit_id", "group_id", "favorite_store", "country", "gender",
)  # fmt: skip
"""What members are grouped by."""

UNFOLDED = """transaction_id >= coalesce(
                (SELECT watermark FROM fold_marks WHERE community_id = $community), '0'
            )"""
"""What no fold has taken away yet."""

ZONE = "(SELECT timezone FROM communities WHERE id = $community)"

_TYPE = Field(
    "grouping_type",
    Kind.STRING,
    "Indicates aggregation group type.",
    filterable=True,
    values=tuple(map(Value, GROUPING_TYPES)),
)
_VALUE = Field("grouping_value", Kind.STRING, "Indicates aggregation group value.", filterable=True)

# Now ----------------------------------------------------------------------------------------------------

# A count that is hidden is unknown to filters, too. Of one commit only what is left of its differences counts, and a
# commit that leaves none changed no count.
_NOW = f"""
SELECT
    grouping_type, grouping_value,
    CASE WHEN sum(n) <= 0 OR sum(n) >= $smallest THEN CAST(sum(n) AS bigint) END AS members_count,
    coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
FROM (
    SELECT grouping_type, grouping_value, members_count AS n, updated_at AS changed_at, TRUE AS changes
    FROM group_counts
    WHERE community_id = $community AND grouping_type <> 'all'
    UNION ALL
    SELECT grouping_type, grouping_value, sum(n), max(changed_at), sum(n) <> 0
    FROM group_deltas
    WHERE community_id = $community AND grouping_type <> 'all'
        AND {UNFOLDED}
    GROUP BY grouping_type, grouping_value, transaction_id
) AS counts
GROUP BY grouping_type, grouping_value
"""

MEMBERS_GROUPED_COUNT = Report(
    "members_grouped_count",
    Format.RECORDS,
    "Simple aggregated counts of members in a loyalty club (community).",
    cost=2,
    fields=(
        COMMUNITY_ID,
        _TYPE,
        _VALUE,
        Field("members_count", Kind.INTEGER, "Count of members in given aggregation group.", filterable=True),
        Field(
            "updated_at",
            Kind.TIME,
            "Time when last change of members_count was done. "
            "Note that it may be not the same as last time of member's update.",
            filterable=True,
        ),
    ),
    source=Source(Store.TABLES, _NOW),
    key=("community_id", "grouping_type", "grouping_value"),
    aggregations=(
        Aggregation(
            "by_grouping_type_and_value",
            ("grouping_type", "grouping_value"),
            "Member count aggregated by grouping_type and grouping_value. This aggregation can be only useful when "
            "you want to sum counts between multiple loyalty clubs.",
        ),
    ),
    measures=(Measure("members_count", Kind.INTEGER, "Count of members", "sum(r.members_count)"),),
    counts="members_count",
)

# Over time ----------------------------------------------------------------------------------------------


_TERMS = " ".join(
    f"WHEN '{each.written}' THEN interval '{each.kept.days} days'" for each in EVERY if each.kept is not None
)
_KEPT = f"coalesce($now::timestamptz - CASE $interval {_TERMS} END, '-infinity')"
"""From when on buckets are kept."""

_PLACE = f"array_position(ARRAY[{', '.join(map(repr, GROUPING_TYPES))}], grouping_type)"


def _over_time(columns: str, which: str) -> str:
    """The number at the end of each bucket: the one that is true now, less all that came later.

    A group begins with the first bucket in which its number changes; of what is longer ago than buckets are kept its
    months tell, which are kept forever. Groups come in their order, each computed when its turn comes, so that whoever
    takes the first ones does not wait for the others.
    """
    return f"""
SELECT {columns} ($starts::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT
        grouping_type, grouping_value, {_PLACE} AS place, sum(n) AS n, min(month) AS month,
        array_agg(bucket) FILTER (WHERE bucket IS NOT NULL) AS unfolded_buckets,
        array_agg(n) FILTER (WHERE bucket IS NOT NULL) AS unfolded_moves
    FROM (
        SELECT
            grouping_type, grouping_value, members_count AS n, CAST(NULL AS timestamptz) AS month,
            CAST(NULL AS timestamptz) AS bucket
        FROM group_counts
        WHERE community_id = $community AND {which}
        UNION ALL
        SELECT grouping_type, grouping_value, n, CAST(NULL AS timestamptz), bucket
        FROM group_deltas
        WHERE community_id = $community AND {which}
            AND {UNFOLDED}
        UNION ALL
        SELECT grouping_type, grouping_value, 0, bucket, CAST(NULL AS timestamptz)
        FROM (
            SELECT grouping_type, grouping_value, bucket, n
            FROM group_rollups
            WHERE community_id = $community AND step = '1mo' AND {which}
            UNION ALL
            SELECT grouping_type, grouping_value, bucket_start(bucket, '1mo', {ZONE}), n
            FROM group_deltas
            WHERE community_id = $community AND {which}
                AND {UNFOLDED}
        ) AS moves
        GROUP BY grouping_type, grouping_value, bucket
        HAVING sum(n) <> 0
    ) AS known
    GROUP BY grouping_type, grouping_value
    ORDER BY place, grouping_value
) AS own
CROSS JOIN LATERAL (
    SELECT
        i,
        own.n - sum(coalesce(later.n, 0)) OVER (ORDER BY i DESC) AS members_count,
        CASE WHEN own.month < ($starts::timestamptz[])[1] - interval '32 days' THEN own.month ELSE (
            SELECT min(bucket)
            FROM (
                SELECT bucket
                FROM (
                    SELECT bucket, n
                    FROM group_rollups
                    WHERE community_id = $community AND step = $interval
                        AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                    UNION ALL
                    SELECT bucket_start(bucket, $interval, {ZONE}), n
                    FROM unnest(own.unfolded_buckets, own.unfolded_moves) AS unfolded (bucket, n)
                ) AS moves
                WHERE bucket >= {_KEPT}
                GROUP BY bucket
                HAVING sum(n) <> 0
            ) AS moved
        ) END AS began
    FROM generate_subscripts($starts::timestamptz[], 1) AS i
    LEFT JOIN (
        SELECT width_bucket(bucket, $ends::timestamptz[]) AS i, sum(n) AS n
        FROM (
            SELECT bucket, n
            FROM group_rollups
            WHERE community_id = $community AND step = $interval
                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                AND bucket >= ($ends::timestamptz[])[1]
            UNION ALL
            SELECT bucket, n
            FROM unnest(own.unfolded_buckets, own.unfolded_moves) AS unfolded (bucket, n)
            WHERE bucket >= ($ends::timestamptz[])[1]
        ) AS moves
        GROUP BY 1
    ) AS later USING (i)
) AS levels
WHERE ($starts::timestamptz[])[i] <= $now AND (began < ($ends::timestamptz[])[i] OR members_count <> 0)
"""


MEMBERS_COUNT_HISTORY = Report(
    "members_count_history",
    Format.TIMESERIES,
    "How many members stood in each group at the end of each bucket; `total` is the number of members.",
    cost=3,
    fields=(COMMUNITY_ID, _TYPE, _VALUE),
    source=Source(Store.TABLES, _over_time("grouping_type, grouping_value, place,", "grouping_type <> 'all'")),
    grains=(Grain((), Source(Store.TABLES, _over_time("", "grouping_type = 'all'"))),),
    grouped_by=("grouping_type", "grouping_value"),
    aggregations=(
        Aggregation("community_id", ("community_id", "grouping_type", "grouping_value"), "By community and group."),
        Aggregation("total", (), "The number of members."),
    ),
    measures=(Measure("members_count", Kind.INTEGER, "Count of members", "CAST(sum(r.members_count) AS bigint)"),),
    in_order=("r.place", "r.grouping_value"),
    at_end=True,
    counts="members_count",
    intervals=EVERY,
)

REPORTS: tuple[Report, ...] = (MEMBERS_GROUPED_COUNT, MEMBERS_COUNT_HISTORY)
