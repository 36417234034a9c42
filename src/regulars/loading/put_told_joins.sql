-- Adds pg_temp.told_joins to the balance of community $1. The caller holds the folder's lock.
WITH told AS MATERIALIZED (
    SELECT
        joins.*,
        CAST(md5(CAST(ROW(
            type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
        ) AS text)) AS uuid) AS dimensions
    FROM pg_temp.told_joins AS joins
)
INSERT INTO balance_rollups AS kept (
    community_id, granularity, grain, bucket, dimensions, type, optin_channel, optin_subchannel, optin_platform, gender, age,
    consents_true, consents_false, n
)
SELECT
    $1, each.granularity, grain, each.bucket, dimensions, type, optin_channel, optin_subchannel, optin_platform, gender, age,
    consents_true, consents_false, each.n
FROM told
CROSS JOIN unnest(told.granularities, told.buckets, told.numbers) AS each (granularity, bucket, n)
ORDER BY each.granularity, grain COLLATE "C", each.bucket, dimensions
ON CONFLICT (community_id, granularity, grain, bucket, dimensions) DO UPDATE
SET n = kept.n + excluded.n
