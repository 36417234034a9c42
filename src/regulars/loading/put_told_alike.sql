-- Counts profiles pg_temp.recounted of community $1 in snapshots up to $2 as pg_temp.told_alike has them, and adds what
-- that changes. They are in none by now. The caller holds the lock of snapshots.
WITH told AS MATERIALIZED (
    SELECT
        given.*,
        CAST(md5(CAST(ROW(
            optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
        ) AS text)) AS uuid) AS alike
    FROM pg_temp.told_alike AS given
),
wanted AS MATERIALIZED (
    SELECT told.alike, each.profile_id, each.since, each.until
    FROM told
    CROSS JOIN unnest(told.profile_ids, told.sinces, told.untils) AS each (profile_id, since, until)
    ORDER BY each.profile_id
),
put_members AS (
    INSERT INTO snapshot_members (community_id, profile_id, since, until, alike)
    SELECT $1, profile_id, since, until, alike FROM wanted
),
put AS (
    INSERT INTO snapshot_counts AS kept (
        community_id, alike, members_count, optin_channel, optin_subchannel, optin_platform, gender, age, country,
        consents_true, consents_false
    )
    SELECT
        $1, alike, n, optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true,
        consents_false
    FROM told
    ORDER BY alike
    ON CONFLICT (community_id, alike) DO UPDATE
    SET members_count = kept.members_count + excluded.members_count
    -- What was inserted was never locked.
    RETURNING kept.alike, kept.xmax = 0 AS is_new
),
rolled AS MATERIALIZED (
    SELECT put.is_new, told.alike, each.granularity, each.bucket, each.n
    FROM told
    JOIN put ON put.alike = told.alike
    CROSS JOIN unnest(told.granularities, told.buckets, told.numbers) AS each (granularity, bucket, n)
    ORDER BY each.granularity, each.bucket, told.alike
),
-- An insert that looks for no conflict costs half of one that does.
begun_rollups AS (
    INSERT INTO snapshot_rollups (community_id, granularity, bucket, alike, n)
    SELECT $1, granularity, bucket, alike, n FROM rolled WHERE is_new
),
added AS (
    INSERT INTO snapshot_rollups AS kept (community_id, granularity, bucket, alike, n)
    SELECT $1, granularity, bucket, alike, n FROM rolled WHERE NOT is_new
    ON CONFLICT (community_id, granularity, bucket, alike) DO UPDATE
    SET n = kept.n + excluded.n
),
extended AS (
    UPDATE snapshot_runs
    SET first_at = least(first_at, (SELECT min(since) FROM wanted))
    WHERE community_id = $1
        AND first_at = (SELECT min(first_at) FROM snapshot_runs WHERE community_id = $1)
    RETURNING 1
)
INSERT INTO snapshot_runs (community_id, first_at, last_at)
SELECT $1, min(since), $2 FROM wanted HAVING min(since) IS NOT NULL AND NOT EXISTS (SELECT FROM extended)
