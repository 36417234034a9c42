-- One snapshot of community $1, at $2, of day $3 by the clock of zone $4, into the rollups of granularities $5, of each from
-- the bucket in $6 on (null: all). Gives how many members are counted otherwise than in the snapshot before.
--
-- The caller holds the lock of snapshots since an earlier statement. Members that were not changed since are not
-- looked at, but on another day, for ages.
WITH mark AS MATERIALIZED (
    SELECT
        CASE WHEN max(day) = $3 THEN coalesce(max(watermark::text)::xid8, '0') ELSE '0' END AS watermark
    FROM snapshot_marks
    WHERE community_id = $1
),
looked_at AS MATERIALIZED (
    SELECT
        profile_id, is_member, optin_channel, optin_subchannel, optin_platform, gender,
        age_group(birth_date, $3) AS age, country, consents_true, consents_false
    FROM members
    WHERE community_id = $1 AND transaction_id >= (SELECT watermark FROM mark)
),
told AS MATERIALIZED (
    SELECT
        looked_at.*,
        CASE WHEN is_member THEN CAST(md5(CAST(ROW(
            optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
        ) AS text)) AS uuid) END AS alike
    FROM looked_at
),
open AS MATERIALIZED (
    SELECT profile_id, since, alike FROM snapshot_members WHERE community_id = $1 AND until = 'infinity'
),
moved AS MATERIALIZED (
    SELECT told.*, open.since AS open_since, open.alike AS open_alike
    FROM told
    LEFT JOIN open ON open.profile_id = told.profile_id
    WHERE told.alike IS DISTINCT FROM open.alike
),
changes AS MATERIALIZED (
    SELECT alike, sum(n) AS n
    FROM (
        SELECT alike, 1 AS n FROM moved WHERE alike IS NOT NULL
        UNION ALL
        SELECT open_alike, -1 FROM moved WHERE open_alike IS NOT NULL
    ) AS both_ways
    GROUP BY alike
    HAVING sum(n) <> 0
),
left_at_once AS (
    DELETE FROM snapshot_members
    WHERE community_id = $1 AND since = $2
        AND profile_id = ANY (ARRAY(SELECT profile_id FROM moved WHERE open_since = $2 AND alike IS NULL))
),
closed AS (
    UPDATE snapshot_members AS kept
    SET until = $2
    FROM moved
    WHERE kept.community_id = $1 AND kept.profile_id = moved.profile_id AND kept.since = moved.open_since
        AND moved.open_since < $2
),
opened AS (
    INSERT INTO snapshot_members (community_id, profile_id, since, until, alike)
    SELECT $1, profile_id, $2, 'infinity', alike FROM moved WHERE alike IS NOT NULL
    ON CONFLICT (community_id, profile_id, since) DO UPDATE
    SET alike = excluded.alike, until = excluded.until
),
put AS (
    INSERT INTO snapshot_counts AS kept (
        community_id, alike, members_count, optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    )
    SELECT DISTINCT ON (alike)
        $1, alike, coalesce(n, 0), optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    FROM moved
    LEFT JOIN changes USING (alike)
    WHERE alike IS NOT NULL
    ON CONFLICT (community_id, alike) DO UPDATE
    SET members_count = kept.members_count + excluded.members_count
),
lowered AS (
    UPDATE snapshot_counts AS kept
    SET members_count = kept.members_count + changes.n
    FROM changes
    WHERE kept.community_id = $1 AND kept.alike = changes.alike
        AND NOT EXISTS (SELECT FROM moved WHERE moved.alike = changes.alike)
),
rolled AS (
    INSERT INTO snapshot_rollups AS kept (community_id, granularity, bucket, alike, n)
    SELECT $1, granularity, bucket, alike, n
    FROM changes
    CROSS JOIN (
        SELECT granularity, retention_start, bucket_start($2, granularity, $4) AS bucket
        FROM unnest($5::text[], $6::timestamptz[]) AS granularities (granularity, retention_start)
    ) AS buckets
    WHERE retention_start IS NULL OR bucket >= retention_start
    ON CONFLICT (community_id, granularity, bucket, alike) DO UPDATE
    SET n = kept.n + excluded.n
),
extended AS (
    UPDATE snapshot_runs
    SET last_at = greatest(last_at, $2)
    WHERE community_id = $1 AND first_at <= $2 AND last_at >= $2 - interval '15 minutes'
    RETURNING 1
),
begun AS (
    INSERT INTO snapshot_runs (community_id, first_at, last_at)
    SELECT $1, $2, $2 WHERE NOT EXISTS (SELECT FROM extended)
),
marked AS (
    INSERT INTO snapshot_marks (community_id, watermark, day)
    SELECT $1, pg_snapshot_xmin(pg_current_snapshot()), $3
    ON CONFLICT (community_id) DO UPDATE
    SET watermark = excluded.watermark, day = excluded.day
)
SELECT count(*) FROM moved
