-- Builds the rollups of all sendings of community $1 from their events and dispatches, by the clock of time zone $2: of
-- the granularities $3, each from the bucket $4 on. An earlier statement locked the sendings and deleted the existing
-- rollups.
WITH event_deltas AS MATERIALIZED (
    SELECT sending_id, bucket, event_type, count(*) AS delta
    FROM (
        SELECT sending_id, event_type, bucket_start(occurred_at, '5m', $2) AS bucket
        FROM sending_events
        WHERE community_id = $1
        OFFSET 0
    ) AS bucketed
    GROUP BY sending_id, bucket, event_type
),
recipient_deltas AS MATERIALIZED (
    SELECT
        sending_id, bucket, gender, age, optin_platform, country, count(*) AS delta,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions_hash
    FROM (
        SELECT DISTINCT ON (sending_id, coalesce(CAST(profile_id AS text), CAST(id AS text)))
            sending_id, gender, age, optin_platform, country, bucket_start(transmitted_at, '5m', $2) AS bucket
        FROM sending_dispatches
        WHERE community_id = $1 AND transmitted_at IS NOT NULL
        ORDER BY sending_id, coalesce(CAST(profile_id AS text), CAST(id AS text)), transmitted_at, id
    ) AS first_transmissions
    GROUP BY sending_id, bucket, gender, age, optin_platform, country
),
-- include: buckets
inserted_recipient_rollups AS (
    INSERT INTO recipient_rollups (
        community_id, granularity, sending_id, bucket, dimensions_hash, gender, age, optin_platform, country, count
    )
    SELECT
        $1, b.granularity, d.sending_id, b.bucket, d.dimensions_hash, d.gender, d.age, d.optin_platform, d.country,
        sum(d.delta)
    FROM recipient_deltas AS d
    JOIN buckets AS b ON b.base_bucket = d.bucket AND b.granularity <> '5m'
    GROUP BY
        b.granularity, d.sending_id, b.bucket, d.dimensions_hash, d.gender, d.age, d.optin_platform, d.country
)
INSERT INTO sending_rollups (community_id, granularity, sending_id, bucket, event_type, count)
SELECT $1, b.granularity, d.sending_id, b.bucket, sending_event_name(d.event_type), sum(d.delta)
FROM event_deltas AS d
JOIN buckets AS b ON b.base_bucket = d.bucket
GROUP BY b.granularity, d.sending_id, b.bucket, d.event_type
