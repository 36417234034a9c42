-- Adds pg_temp.balance_rollup_input to the member balance of community $1. The caller holds the compaction lock.
WITH input AS MATERIALIZED (
    SELECT
        balance.*,
        CAST(md5(CAST(ROW(
            type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
        ) AS text)) AS uuid) AS dimensions
    FROM pg_temp.balance_rollup_input AS balance
)
INSERT INTO balance_rollups AS stored (
    community_id, granularity, grain, bucket, dimensions, type, optin_channel, optin_subchannel, optin_platform, gender,
    age, consents_true, consents_false, n
)
SELECT
    $1, rollup.granularity, grain, rollup.bucket, dimensions, type, optin_channel, optin_subchannel, optin_platform,
    gender, age, consents_true, consents_false, rollup.n
FROM input
CROSS JOIN unnest(input.granularities, input.buckets, input.numbers) AS rollup (granularity, bucket, n)
ORDER BY rollup.granularity, grain COLLATE "C", rollup.bucket, dimensions
ON CONFLICT (community_id, granularity, grain, bucket, dimensions) DO UPDATE
SET n = stored.n + excluded.n
