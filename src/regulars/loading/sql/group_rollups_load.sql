-- Adds pg_temp.group_rollup_input to the counts and rollups of community $1, at time $2. The caller holds the lock of
-- compaction.
WITH updated_counts AS (
    INSERT INTO group_counts AS stored (community_id, grouping_type, grouping_value, members_count, updated_at)
    SELECT
        $1, input.grouping_type, input.grouping_value, input.delta,
        -- Without a change of the present count, updated_at stays.
        CASE WHEN input.delta = 0 THEN coalesce(existing.updated_at, $2::timestamptz) ELSE $2::timestamptz END
    FROM pg_temp.group_rollup_input AS input
    LEFT JOIN group_counts AS existing
        ON existing.community_id = $1
        AND existing.grouping_type = input.grouping_type
        AND existing.grouping_value = input.grouping_value
    ON CONFLICT (community_id, grouping_type, grouping_value) DO UPDATE
    SET members_count = stored.members_count + excluded.members_count,
        updated_at = greatest(stored.updated_at, excluded.updated_at)
)
INSERT INTO group_rollups AS stored (community_id, granularity, bucket, grouping_type, grouping_value, delta)
SELECT $1, rollup.granularity, rollup.bucket, input.grouping_type, input.grouping_value, rollup.delta
FROM pg_temp.group_rollup_input AS input
CROSS JOIN unnest(input.granularities, input.buckets, input.deltas) AS rollup (granularity, bucket, delta)
ORDER BY rollup.granularity, input.grouping_type COLLATE "C", input.grouping_value COLLATE "C", rollup.bucket
ON CONFLICT (community_id, granularity, grouping_type, grouping_value, bucket) DO UPDATE
SET delta = stored.delta + excluded.delta
