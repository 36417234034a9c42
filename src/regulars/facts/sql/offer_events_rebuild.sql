-- Builds the rollups of all offers of community $1 from their events, by the clock of time zone $2: of the
-- granularities $3, each from the bucket $4 on. An earlier statement locked the offers and deleted the existing
-- rollups.
WITH event_deltas AS MATERIALIZED (
    SELECT offer_id, bucket, event_type, location_id, count(*) AS delta
    FROM (
        SELECT
            offer_id, event_type, coalesce(location_id, 0) AS location_id,
            bucket_start(occurred_at, '5m', $2) AS bucket
        FROM offer_events
        WHERE community_id = $1
        OFFSET 0
    ) AS bucketed
    GROUP BY offer_id, bucket, event_type, location_id
),
-- include: buckets
INSERT INTO offer_rollups (community_id, granularity, offer_id, bucket, event_type, location_id, count)
SELECT $1, b.granularity, d.offer_id, b.bucket, offer_event_name(d.event_type), d.location_id, sum(d.delta)
FROM event_deltas AS d
JOIN buckets AS b ON b.base_bucket = d.bucket
GROUP BY b.granularity, d.offer_id, b.bucket, d.event_type, d.location_id
