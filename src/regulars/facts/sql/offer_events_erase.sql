-- Deletes the events of profiles $2 of community $1 and subtracts them from everything that is counted of offers: from
-- rollups of the granularities $3, each from the bucket $4 on. An earlier statement locked the offers.
WITH
-- include: community
deleted_events AS MATERIALIZED (
    DELETE FROM offer_events
    WHERE community_id = $1 AND profile_id = ANY ($2)
    RETURNING offer_id, event_type, occurred_at, coalesce(location_id, 0) AS location_id
),
event_deltas AS MATERIALIZED (
    SELECT offer_id, bucket, event_type, location_id, count(*) AS delta
    FROM (
        SELECT offer_id, event_type, location_id, bucket_start(occurred_at, '5m', community.timezone) AS bucket
        FROM deleted_events
        CROSS JOIN community
        OFFSET 0
    ) AS bucketed
    GROUP BY offer_id, bucket, event_type, location_id
),
-- include: buckets
updated_rollups AS (
    UPDATE offer_rollups AS stored
    SET count = stored.count - deltas.count
    FROM (
        SELECT
            b.granularity, d.offer_id, b.bucket, offer_event_name(d.event_type) AS event_type, d.location_id,
            sum(d.delta) AS count
        FROM event_deltas AS d
        JOIN buckets AS b ON b.base_bucket = d.bucket
        GROUP BY b.granularity, d.offer_id, b.bucket, d.event_type, d.location_id
    ) AS deltas
    WHERE stored.community_id = $1 AND stored.granularity = deltas.granularity AND stored.offer_id = deltas.offer_id
      AND stored.bucket = deltas.bucket AND stored.event_type = deltas.event_type
      AND stored.location_id = deltas.location_id
),
UPDATE offers AS stored
SET
    -- include: subtract_counters
FROM (
    SELECT
        offer_id,
        -- include: event_counts
    FROM deleted_events
    GROUP BY offer_id
) AS deltas
WHERE stored.community_id = $1 AND stored.id = deltas.offer_id
