event_deltas AS MATERIALIZED (
    SELECT sending_id, bucket, event_type, delta
    FROM (
        SELECT sending_id, bucket, event_type, count(*) AS delta
        FROM (
            SELECT sending_id, event_type, bucket_start(occurred_at, '5m', community.timezone) AS bucket
            FROM new_events
            CROSS JOIN community
            OFFSET 0
        ) AS bucketed
        GROUP BY sending_id, bucket, event_type
    ) AS netted
),
recipient_deltas AS MATERIALIZED (
    SELECT
        sending_id, bucket, gender, age, optin_platform, country, sum(delta) AS delta,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions_hash
    FROM (
        SELECT recipient_changes.*, bucket_start(transmitted_at, '5m', community.timezone) AS bucket
        FROM recipient_changes
        CROSS JOIN community
        OFFSET 0
    ) AS bucketed
    GROUP BY sending_id, bucket, gender, age, optin_platform, country
    HAVING sum(delta) <> 0
),
-- include: buckets
event_rollups AS (
    INSERT INTO sending_rollups AS stored (community_id, granularity, sending_id, bucket, event_type, count)
    SELECT $1, b.granularity, d.sending_id, b.bucket, sending_event_name(d.event_type), sum(d.delta)
    FROM event_deltas AS d
    JOIN buckets AS b ON b.base_bucket = d.bucket
    GROUP BY b.granularity, d.sending_id, b.bucket, d.event_type
    ON CONFLICT (community_id, granularity, sending_id, bucket, event_type) DO UPDATE
    SET count = stored.count + excluded.count
),
updated_recipient_rollups AS (
    INSERT INTO recipient_rollups AS stored (
        community_id, granularity, sending_id, bucket, dimensions_hash, gender, age, optin_platform, country, count
    )
    SELECT
        $1, b.granularity, d.sending_id, b.bucket, d.dimensions_hash, d.gender, d.age, d.optin_platform, d.country,
        sum(d.delta)
    FROM recipient_deltas AS d
    JOIN buckets AS b ON b.base_bucket = d.bucket AND b.granularity <> '5m'
    GROUP BY
        b.granularity, d.sending_id, b.bucket, d.dimensions_hash, d.gender, d.age, d.optin_platform, d.country
    HAVING sum(d.delta) <> 0
    ON CONFLICT (community_id, granularity, sending_id, bucket, dimensions_hash) DO UPDATE
    SET count = stored.count + excluded.count
),
