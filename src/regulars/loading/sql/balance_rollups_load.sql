-- Adds pg_temp.balance_rollup_input to the member balance of community $1. The caller holds the compaction lock.
WITH input AS MATERIALIZED (
    SELECT
        balance.*,
        CAST(md5(CAST(ROW(
            type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
        ) AS text)) AS uuid) AS dimensions_hash
    FROM pg_temp.balance_rollup_input AS balance
)
INSERT INTO balance_rollups AS stored (
    community_id, granularity, dimension_set, bucket, dimensions_hash, type, optin_channel, optin_subchannel,
    optin_platform, gender, age, consents_true, consents_false, count
)
SELECT
    $1, rollup.granularity, dimension_set, rollup.bucket, dimensions_hash, type, optin_channel, optin_subchannel,
    optin_platform, gender, age, consents_true, consents_false, rollup.delta
FROM input
CROSS JOIN unnest(input.granularities, input.buckets, input.deltas) AS rollup (granularity, bucket, delta)
ORDER BY rollup.granularity, dimension_set COLLATE "C", rollup.bucket, dimensions_hash
ON CONFLICT (community_id, granularity, dimension_set, bucket, dimensions_hash) DO UPDATE
SET count = stored.count + excluded.count
