-- Counts the profiles of pg_temp.recounted in the snapshots of community $1 up to $2 by pg_temp.snapshot_rollup_input.
-- The profiles are in no snapshot before. The caller holds the lock of snapshots.
WITH input AS MATERIALIZED (
    SELECT
        dimensions.*,
        CAST(md5(CAST(ROW(
            optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
        ) AS text)) AS uuid) AS dimensions_hash
    FROM pg_temp.snapshot_rollup_input AS dimensions
),
target_spans AS MATERIALIZED (
    SELECT input.dimensions_hash, each.profile_id, each.valid_from, each.valid_to
    FROM input
    CROSS JOIN unnest(input.profile_ids, input.valid_froms, input.valid_tos) AS each (profile_id, valid_from, valid_to)
    ORDER BY each.profile_id
),
new_members AS (
    INSERT INTO snapshot_members (community_id, profile_id, valid_from, valid_to, dimensions_hash)
    SELECT $1, profile_id, valid_from, valid_to, dimensions_hash FROM target_spans
),
updated_counts AS (
    INSERT INTO snapshot_counts AS stored (
        community_id, dimensions_hash, members_count, optin_channel, optin_subchannel, optin_platform, gender, age,
        country,
        consents_true, consents_false
    )
    SELECT
        $1, dimensions_hash, delta, optin_channel, optin_subchannel, optin_platform, gender, age, country,
        consents_true, consents_false
    FROM input
    ORDER BY dimensions_hash
    ON CONFLICT (community_id, dimensions_hash) DO UPDATE
    SET members_count = stored.members_count + excluded.members_count
    -- An inserted row has no xmax.
    RETURNING stored.dimensions_hash, stored.xmax = 0 AS is_new
),
deltas AS MATERIALIZED (
    SELECT updated_counts.is_new, input.dimensions_hash, each.granularity, each.bucket, each.delta
    FROM input
    JOIN updated_counts ON updated_counts.dimensions_hash = input.dimensions_hash
    CROSS JOIN unnest(input.granularities, input.buckets, input.deltas) AS each (granularity, bucket, delta)
    ORDER BY each.granularity, each.bucket, input.dimensions_hash
),
-- An insert without conflict check costs half as much.
new_rollups AS (
    INSERT INTO snapshot_rollups (community_id, granularity, bucket, dimensions_hash, delta)
    SELECT $1, granularity, bucket, dimensions_hash, delta FROM deltas WHERE is_new
),
updated_rollups AS (
    INSERT INTO snapshot_rollups AS stored (community_id, granularity, bucket, dimensions_hash, delta)
    SELECT $1, granularity, bucket, dimensions_hash, delta FROM deltas WHERE NOT is_new
    ON CONFLICT (community_id, granularity, bucket, dimensions_hash) DO UPDATE
    SET delta = stored.delta + excluded.delta
),
extended_coverage AS (
    UPDATE snapshot_coverage
    SET first_at = least(first_at, (SELECT min(valid_from) FROM target_spans))
    WHERE community_id = $1
        AND first_at = (SELECT min(first_at) FROM snapshot_coverage WHERE community_id = $1)
    RETURNING 1
)
INSERT INTO snapshot_coverage (community_id, first_at, last_at)
SELECT $1, min(valid_from), $2
FROM target_spans
HAVING min(valid_from) IS NOT NULL AND NOT EXISTS (SELECT FROM extended_coverage)
