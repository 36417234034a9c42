-- Takes a snapshot of community $1 at $2, on day $3: updates the rollups of the granularities $5, each from the bucket $6
-- on (null: all), by the clock of time zone $4. Returns the number of members that are counted differently than in the
-- snapshot before.
--
-- An earlier statement locked the snapshots. Only members that changed since the last snapshot are read; on another day
-- all are, because of their ages.
WITH state AS MATERIALIZED (
    SELECT
        CASE WHEN max(day) = $3 THEN coalesce(max(watermark::text)::xid8, '0') ELSE '0' END AS watermark
    FROM snapshot_state
    WHERE community_id = $1
),
changed_members AS MATERIALIZED (
    SELECT
        profile_id, is_member, optin_channel, optin_subchannel, optin_platform, gender,
        age_group(birth_date, $3) AS age, country, consents_true, consents_false
    FROM members
    WHERE community_id = $1 AND recorded_xid >= (SELECT watermark FROM state)
),
hashed_members AS MATERIALIZED (
    SELECT
        changed_members.*,
        CASE WHEN is_member THEN CAST(md5(CAST(ROW(
            optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
        ) AS text)) AS uuid) END AS dimensions_hash
    FROM changed_members
),
open_periods AS MATERIALIZED (
    SELECT profile_id, valid_from, dimensions_hash
    FROM snapshot_members
    WHERE community_id = $1 AND valid_to = 'infinity'
),
differing AS MATERIALIZED (
    SELECT hashed_members.*, open_periods.valid_from AS open_period_start, open_periods.dimensions_hash AS open_hash
    FROM hashed_members
    LEFT JOIN open_periods ON open_periods.profile_id = hashed_members.profile_id
    WHERE hashed_members.dimensions_hash IS DISTINCT FROM open_periods.dimensions_hash
),
changes AS MATERIALIZED (
    SELECT dimensions_hash, sum(delta) AS delta
    FROM (
        SELECT dimensions_hash, 1 AS delta FROM differing WHERE dimensions_hash IS NOT NULL
        UNION ALL
        SELECT open_hash, -1 FROM differing WHERE open_hash IS NOT NULL
    ) AS both_ways
    GROUP BY dimensions_hash
    HAVING sum(delta) <> 0
),
deleted_periods AS (
    DELETE FROM snapshot_members
    WHERE community_id = $1 AND valid_from = $2
        AND profile_id = ANY (ARRAY(
            SELECT profile_id FROM differing WHERE open_period_start = $2 AND dimensions_hash IS NULL
        ))
),
closed_periods AS (
    UPDATE snapshot_members AS stored
    SET valid_to = $2
    FROM differing
    WHERE stored.community_id = $1 AND stored.profile_id = differing.profile_id
        AND stored.valid_from = differing.open_period_start
        AND differing.open_period_start < $2
),
opened_periods AS (
    INSERT INTO snapshot_members (community_id, profile_id, valid_from, valid_to, dimensions_hash)
    SELECT $1, profile_id, $2, 'infinity', dimensions_hash FROM differing WHERE dimensions_hash IS NOT NULL
    ON CONFLICT (community_id, profile_id, valid_from) DO UPDATE
    SET dimensions_hash = excluded.dimensions_hash, valid_to = excluded.valid_to
),
inserted_counts AS (
    INSERT INTO snapshot_counts AS stored (
        community_id, dimensions_hash, members_count, optin_channel, optin_subchannel, optin_platform, gender, age,
        country, consents_true, consents_false
    )
    SELECT DISTINCT ON (dimensions_hash)
        $1, dimensions_hash, coalesce(delta, 0), optin_channel, optin_subchannel, optin_platform, gender, age, country,
        consents_true, consents_false
    FROM differing
    LEFT JOIN changes USING (dimensions_hash)
    WHERE dimensions_hash IS NOT NULL
    ON CONFLICT (community_id, dimensions_hash) DO UPDATE
    SET members_count = stored.members_count + excluded.members_count
),
updated_counts AS (
    UPDATE snapshot_counts AS stored
    SET members_count = stored.members_count + changes.delta
    FROM changes
    WHERE stored.community_id = $1 AND stored.dimensions_hash = changes.dimensions_hash
        AND NOT EXISTS (SELECT FROM differing WHERE differing.dimensions_hash = changes.dimensions_hash)
),
updated_rollups AS (
    INSERT INTO snapshot_rollups AS stored (community_id, granularity, bucket, dimensions_hash, delta)
    SELECT $1, granularity, bucket, dimensions_hash, delta
    FROM changes
    CROSS JOIN (
        SELECT granularity, retention_start, bucket_start($2, granularity, $4) AS bucket
        FROM unnest($5::text[], $6::timestamptz[]) AS granularities (granularity, retention_start)
    ) AS buckets
    WHERE retention_start IS NULL OR bucket >= retention_start
    ON CONFLICT (community_id, granularity, bucket, dimensions_hash) DO UPDATE
    SET delta = stored.delta + excluded.delta
),
extended_coverage AS (
    UPDATE snapshot_coverage
    SET last_at = greatest(last_at, $2)
    WHERE community_id = $1 AND first_at <= $2 AND last_at >= $2 - interval '15 minutes'
    RETURNING 1
),
new_coverage AS (
    INSERT INTO snapshot_coverage (community_id, first_at, last_at)
    SELECT $1, $2, $2 WHERE NOT EXISTS (SELECT FROM extended_coverage)
),
updated_state AS (
    INSERT INTO snapshot_state (community_id, watermark, day)
    SELECT $1, pg_snapshot_xmin(pg_current_snapshot()), $3
    ON CONFLICT (community_id) DO UPDATE
    SET watermark = excluded.watermark, day = excluded.day
)
SELECT count(*) FROM differing
