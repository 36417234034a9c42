-- Rows of members_grouped_count
-- Parameters: community, min_cell_size
WITH counts AS NOT MATERIALIZED (
    SELECT
        grouping_type, grouping_value, CAST(sum(delta) AS bigint) AS members_count,
        coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
    FROM (
        SELECT grouping_type, grouping_value, members_count AS delta, updated_at AS changed_at, TRUE AS changes
        FROM group_counts
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, sum(delta), max(changed_at), sum(delta) <> 0
        FROM group_count_deltas
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
            AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($1 AS INT)), '0'
            )
        GROUP BY grouping_type, grouping_value, recorded_xid
    ) AS deltas
    GROUP BY grouping_type, grouping_value
)
SELECT
    grouping_type, grouping_value, updated_at, members_count AS exact_count,
    CASE WHEN CAST($2 AS BIGINT) <= 1 OR (grouping_type, grouping_value) NOT IN (
        SELECT grouping_type, grouping_value
        FROM (
            SELECT
                grouping_type, grouping_value, members_count,
                count(*) OVER smaller AS smaller_groups, sum(members_count) OVER smaller AS smaller_count
            FROM counts
            WHERE members_count > 0
            WINDOW smaller AS (
                PARTITION BY
                    CASE WHEN grouping_type ~ '^(consent|marketing)_(true|false)$' THEN split_part(grouping_type, '_', 1) ELSE grouping_type END,
                    CASE WHEN grouping_type ~ '^(consent|marketing)_(true|false)$' THEN grouping_value END
                ORDER BY members_count, grouping_value COLLATE "C"
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        ) AS ranked
        WHERE members_count < CAST($2 AS BIGINT) OR smaller_count < greatest(CAST($2 AS BIGINT), smaller_groups + 1)
    ) THEN members_count END AS members_count
FROM counts;

