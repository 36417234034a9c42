-- Rows of members_grouped_count
-- Parameters: min_cell_size, community
SELECT
    grouping_type, grouping_value,
    CASE WHEN sum(delta) <= 0 OR sum(delta) >= CAST($1 AS BIGINT) THEN CAST(sum(delta) AS bigint) END AS members_count,
    coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
FROM (
    SELECT grouping_type, grouping_value, members_count AS delta, updated_at AS changed_at, TRUE AS changes
    FROM group_counts
    WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
    UNION ALL
    SELECT grouping_type, grouping_value, sum(delta), max(changed_at), sum(delta) <> 0
    FROM group_count_deltas
    WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
        AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($2 AS INT)), '0'
            )
    GROUP BY grouping_type, grouping_value, recorded_xid
) AS counts
GROUP BY grouping_type, grouping_value;

