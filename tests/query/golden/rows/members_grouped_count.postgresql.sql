-- Rows of members_grouped_count
-- Parameters: min_cell_size, community
SELECT
    grouping_type, grouping_value,
    CASE WHEN sum(n) <= 0 OR sum(n) >= CAST($1 AS BIGINT) THEN CAST(sum(n) AS bigint) END AS members_count,
    coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
FROM (
    SELECT grouping_type, grouping_value, members_count AS n, updated_at AS changed_at, TRUE AS changes
    FROM group_counts
    WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
    UNION ALL
    SELECT grouping_type, grouping_value, sum(n), max(changed_at), sum(n) <> 0
    FROM group_count_deltas
    WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
        AND transaction_id >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($2 AS INT)), '0'
            )
    GROUP BY grouping_type, grouping_value, transaction_id
) AS counts
GROUP BY grouping_type, grouping_value;

