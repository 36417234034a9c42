-- Adds pg_temp.told_groups to the counts and rollups of community $1, at $2. The caller holds the folder's lock.
WITH counted AS (
    INSERT INTO group_counts AS kept (community_id, grouping_type, grouping_value, members_count, updated_at)
    SELECT
        $1, told.grouping_type, told.grouping_value, told.n,
        -- What moved only the past changed no number.
        CASE WHEN told.n = 0 THEN coalesce(there.updated_at, $2::timestamptz) ELSE $2::timestamptz END
    FROM pg_temp.told_groups AS told
    LEFT JOIN group_counts AS there
        ON there.community_id = $1
        AND there.grouping_type = told.grouping_type
        AND there.grouping_value = told.grouping_value
    ON CONFLICT (community_id, grouping_type, grouping_value) DO UPDATE
    SET members_count = kept.members_count + excluded.members_count,
        updated_at = greatest(kept.updated_at, excluded.updated_at)
)
INSERT INTO group_rollups AS kept (community_id, granularity, bucket, grouping_type, grouping_value, n)
SELECT $1, each.granularity, each.bucket, told.grouping_type, told.grouping_value, each.n
FROM pg_temp.told_groups AS told
CROSS JOIN unnest(told.granularities, told.buckets, told.numbers) AS each (granularity, bucket, n)
ORDER BY each.granularity, told.grouping_type COLLATE "C", told.grouping_value COLLATE "C", each.bucket
ON CONFLICT (community_id, granularity, grouping_type, grouping_value, bucket) DO UPDATE
SET n = kept.n + excluded.n
