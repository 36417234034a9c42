-- Deletes the deltas of community $1 and adds them to its counts and to the rollups of the granularities $3, each from
-- the bucket $4 on (null: all), by the clock of time zone $2. Returns the number of deltas.
--
-- Deltas are deleted and added in one statement, so a read sees either. The watermark only spares reads the deleted
-- rows: all transactions below it had ended, so no delta can appear there any more.
WITH state AS (
    SELECT coalesce((SELECT watermark FROM compaction_state WHERE community_id = $1), '0') AS watermark
),
group_changes AS (
    DELETE FROM group_count_deltas
    WHERE community_id = $1 AND recorded_xid >= (SELECT watermark FROM state)
    RETURNING bucket, grouping_type, grouping_value, delta, changed_at, recorded_xid
),
flow_changes AS (
    DELETE FROM member_flow_deltas
    WHERE community_id = $1 AND recorded_xid >= (SELECT watermark FROM state)
    RETURNING
        bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, delta
),
updated_counts AS (
    INSERT INTO group_counts AS stored (community_id, grouping_type, grouping_value, members_count, updated_at)
    SELECT
        $1, grouping_type, grouping_value, sum(commits.delta),
        -- The last commit that changed the number; one that changed only the past did not.
        coalesce(max(changed_at) FILTER (WHERE commits.delta <> 0), min(existing.updated_at), min(changed_at))
    FROM (
        SELECT grouping_type, grouping_value, sum(delta) AS delta, max(changed_at) AS changed_at
        FROM group_changes
        GROUP BY grouping_type, grouping_value, recorded_xid
    ) AS commits
    LEFT JOIN (SELECT * FROM group_counts WHERE community_id = $1) AS existing USING (grouping_type, grouping_value)
    GROUP BY grouping_type, grouping_value
    ON CONFLICT (community_id, grouping_type, grouping_value) DO UPDATE
    SET members_count = stored.members_count + excluded.members_count,
        updated_at = greatest(stored.updated_at, excluded.updated_at)
),
buckets AS MATERIALIZED (
    SELECT base_bucket, granularity, bucket
    FROM (
        SELECT base.bucket AS base_bucket, granularities.granularity, granularities.retention_start,
            bucket_start(base.bucket, granularities.granularity, $2) AS bucket
        FROM (SELECT bucket FROM group_changes UNION SELECT bucket FROM flow_changes) AS base
        CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS granularities (granularity, retention_start)
        OFFSET 0
    ) AS bucketed
    WHERE retention_start IS NULL OR bucket >= retention_start
),
updated_group_rollups AS (
    INSERT INTO group_rollups AS stored (community_id, granularity, bucket, grouping_type, grouping_value, delta)
    SELECT $1, buckets.granularity, buckets.bucket, group_changes.grouping_type, group_changes.grouping_value,
        sum(group_changes.delta)
    FROM group_changes
    JOIN buckets ON buckets.base_bucket = group_changes.bucket
    GROUP BY buckets.granularity, buckets.bucket, group_changes.grouping_type, group_changes.grouping_value
    HAVING sum(group_changes.delta) <> 0
    ON CONFLICT (community_id, granularity, grouping_type, grouping_value, bucket) DO UPDATE
    SET delta = stored.delta + excluded.delta
),
flow_sums AS MATERIALIZED (
    SELECT
        summed.*,
        CAST(md5(CAST(ROW(
            type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
        ) AS text)) AS uuid) AS dimensions_hash
    FROM (
        SELECT
            bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
            sum(delta) AS delta,
            CASE grouping(optin_channel, optin_subchannel, optin_platform, gender, age, consents_true)
                WHEN 63 THEN ''
                WHEN 31 THEN 'optin_channel'
                WHEN 47 THEN 'optin_subchannel'
                WHEN 55 THEN 'optin_platform'
                WHEN 59 THEN 'gender'
                WHEN 61 THEN 'age'
                WHEN 62 THEN 'consents'
                ELSE 'all'
            END AS dimension_set
        FROM flow_changes
        GROUP BY bucket, type, GROUPING SETS (
            (),
            (optin_channel),
            (optin_subchannel),
            (optin_platform),
            (gender),
            (age),
            (consents_true, consents_false),
            (optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false)
        )
        HAVING sum(delta) <> 0
    ) AS summed
),
-- The hash identifies all of the fields.
updated_balance_rollups AS (
    INSERT INTO balance_rollups AS stored (
        community_id, granularity, dimension_set, bucket, dimensions_hash, type, optin_channel, optin_subchannel,
        optin_platform, gender, age, consents_true, consents_false, count
    )
    SELECT
        $1, buckets.granularity, dimension_set, buckets.bucket, dimensions_hash, min(type), min(optin_channel),
        min(optin_subchannel), min(optin_platform), min(gender), min(age),
        min(consents_true), min(consents_false), sum(delta)
    FROM flow_sums
    JOIN buckets ON buckets.base_bucket = flow_sums.bucket
    GROUP BY buckets.granularity, dimension_set, buckets.bucket, dimensions_hash
    ON CONFLICT (community_id, granularity, dimension_set, bucket, dimensions_hash) DO UPDATE
    SET count = stored.count + excluded.count
),
updated_state AS (
    INSERT INTO compaction_state AS stored (community_id, watermark, timezone)
    SELECT $1, pg_snapshot_xmin(pg_current_snapshot()), $2
    ON CONFLICT (community_id) DO UPDATE
    SET watermark = excluded.watermark, timezone = excluded.timezone
)
SELECT (SELECT count(*) FROM group_changes) + (SELECT count(*) FROM flow_changes)
