-- Folds what was appended to community $1, by the clock of zone $2, into its counts and into the rollups of granularities
-- $3, of each from the bucket in $4 on (null: all). Gives how many rows that were.
--
-- What this statement sees is taken away and added in one granularity, so a read sees either. The watermark is only for
-- passing over what was taken away: below it all transactions had ended, so nothing can appear there any more.
WITH mark AS (
    SELECT coalesce((SELECT watermark FROM fold_marks WHERE community_id = $1), '0') AS watermark
),
moves AS (
    DELETE FROM group_deltas
    WHERE community_id = $1 AND transaction_id >= (SELECT watermark FROM mark)
    RETURNING bucket, grouping_type, grouping_value, n, changed_at, transaction_id
),
joins AS (
    DELETE FROM balance_deltas
    WHERE community_id = $1 AND transaction_id >= (SELECT watermark FROM mark)
    RETURNING
        bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, n
),
counted AS (
    INSERT INTO group_counts AS kept (community_id, grouping_type, grouping_value, members_count, updated_at)
    SELECT
        $1, grouping_type, grouping_value, sum(commits.n),
        -- The last commit that changed the number; one that moved only the past did not.
        coalesce(max(changed_at) FILTER (WHERE commits.n <> 0), min(there.updated_at), min(changed_at))
    FROM (
        SELECT grouping_type, grouping_value, sum(n) AS n, max(changed_at) AS changed_at
        FROM moves
        GROUP BY grouping_type, grouping_value, transaction_id
    ) AS commits
    LEFT JOIN (SELECT * FROM group_counts WHERE community_id = $1) AS there USING (grouping_type, grouping_value)
    GROUP BY grouping_type, grouping_value
    ON CONFLICT (community_id, grouping_type, grouping_value) DO UPDATE
    SET members_count = kept.members_count + excluded.members_count,
        updated_at = greatest(kept.updated_at, excluded.updated_at)
),
buckets AS MATERIALIZED (
    SELECT since, granularity, bucket
    FROM (
        SELECT seen.bucket AS since, granularities.granularity, granularities.retention_start, bucket_start(seen.bucket, granularities.granularity, $2) AS bucket
        FROM (SELECT bucket FROM moves UNION SELECT bucket FROM joins) AS seen
        CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS granularities (granularity, retention_start)
        OFFSET 0
    ) AS bucketed
    WHERE retention_start IS NULL OR bucket >= retention_start
),
rolled_moves AS (
    INSERT INTO group_rollups AS kept (community_id, granularity, bucket, grouping_type, grouping_value, n)
    SELECT $1, buckets.granularity, buckets.bucket, moves.grouping_type, moves.grouping_value, sum(moves.n)
    FROM moves
    JOIN buckets ON buckets.since = moves.bucket
    GROUP BY buckets.granularity, buckets.bucket, moves.grouping_type, moves.grouping_value
    HAVING sum(moves.n) <> 0
    ON CONFLICT (community_id, granularity, grouping_type, grouping_value, bucket) DO UPDATE
    SET n = kept.n + excluded.n
),
grains AS MATERIALIZED (
    SELECT
        added_up.*,
        CAST(md5(CAST(ROW(
            type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
        ) AS text)) AS uuid) AS dimensions
    FROM (
        SELECT
            bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
            sum(n) AS n,
            CASE grouping(optin_channel, optin_subchannel, optin_platform, gender, age, consents_true)
                WHEN 63 THEN ''
                WHEN 31 THEN 'optin_channel'
                WHEN 47 THEN 'optin_subchannel'
                WHEN 55 THEN 'optin_platform'
                WHEN 59 THEN 'gender'
                WHEN 61 THEN 'age'
                WHEN 62 THEN 'consents'
                ELSE 'all'
            END AS grain
        FROM joins
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
        HAVING sum(n) <> 0
    ) AS added_up
),
-- The digest says all that the fields say.
rolled_joins AS (
    INSERT INTO balance_rollups AS kept (
        community_id, granularity, grain, bucket, dimensions, type, optin_channel, optin_subchannel, optin_platform, gender,
        age, consents_true, consents_false, n
    )
    SELECT
        $1, buckets.granularity, grain, buckets.bucket, dimensions, min(type), min(optin_channel),
        min(optin_subchannel), min(optin_platform), min(gender), min(age),
        min(consents_true), min(consents_false), sum(n)
    FROM grains
    JOIN buckets ON buckets.since = grains.bucket
    GROUP BY buckets.granularity, grain, buckets.bucket, dimensions
    ON CONFLICT (community_id, granularity, grain, bucket, dimensions) DO UPDATE
    SET n = kept.n + excluded.n
),
marked AS (
    INSERT INTO fold_marks AS kept (community_id, watermark, zone)
    SELECT $1, pg_snapshot_xmin(pg_current_snapshot()), $2
    ON CONFLICT (community_id) DO UPDATE
    SET watermark = excluded.watermark, zone = excluded.zone
)
SELECT (SELECT count(*) FROM moves) + (SELECT count(*) FROM joins)
