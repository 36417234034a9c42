-- Stores events of offers of community $1 and updates everything that is counted of them. The events are arrays of
-- offers $2, hashes of event ids $3, event types $4, timestamps $5, profiles $6 (the nil UUID for none), locations $7
-- (0 for none) and external ids of transactions $8. Rollups have the granularities $9, each from the bucket $10 on
-- (null: all). Returns the row numbers, from 1, of the events that are new.
--
-- An earlier statement locked the offers.
WITH
-- include: community
-- include: input
-- The events that are not stored yet, each once.
new_events AS MATERIALIZED (
    SELECT DISTINCT ON (i.offer_id, i.event_key_hash) i.*
    FROM input AS i
    LEFT JOIN LATERAL (
        SELECT TRUE AS is_stored
        FROM offer_events
        WHERE community_id = $1 AND offer_id = i.offer_id AND event_key_hash = i.event_key_hash
        OFFSET 0
    ) AS stored ON TRUE
    WHERE stored.is_stored IS NULL
    ORDER BY i.offer_id, i.event_key_hash, i.row_no
),
inserted_events AS (
    INSERT INTO offer_events (
        offer_id, occurred_at, event_key_hash, profile_id, location_id, community_id, event_type,
        transaction_external_id
    )
    SELECT
        offer_id, occurred_at, event_key_hash, profile_id, nullif(location_id, 0), $1, event_type,
        transaction_external_id
    FROM new_events
),
event_deltas AS MATERIALIZED (
    SELECT offer_id, bucket, event_type, location_id, count(*) AS delta
    FROM (
        SELECT offer_id, event_type, location_id, bucket_start(occurred_at, '5m', community.timezone) AS bucket
        FROM new_events
        CROSS JOIN community
        OFFSET 0
    ) AS bucketed
    GROUP BY offer_id, bucket, event_type, location_id
),
-- include: buckets
last_events AS MATERIALIZED (
    SELECT counted.offer_id, offer.last_event_at
    FROM (SELECT DISTINCT offer_id FROM new_events) AS counted
    CROSS JOIN LATERAL (
        SELECT last_event_at FROM offers WHERE community_id = $1 AND id = counted.offer_id OFFSET 0
    ) AS offer
),
rollup_deltas AS MATERIALIZED (
    SELECT
        b.granularity, d.offer_id, b.bucket, d.event_type, d.location_id, sum(d.delta) AS delta,
        -- A bucket that begins after the last event has no rows, so its rows conflict with none: the offer is locked.
        coalesce(b.bucket > min(l.last_event_at), TRUE) AS is_new
    FROM event_deltas AS d
    JOIN last_events AS l ON l.offer_id = d.offer_id
    JOIN buckets AS b ON b.base_bucket = d.bucket
    GROUP BY b.granularity, d.offer_id, b.bucket, d.event_type, d.location_id
),
inserted_rollups AS (
    INSERT INTO offer_rollups (community_id, granularity, offer_id, bucket, event_type, location_id, count)
    SELECT $1, granularity, offer_id, bucket, offer_event_name(event_type), location_id, delta
    FROM rollup_deltas
    WHERE is_new
),
updated_rollups AS (
    INSERT INTO offer_rollups AS stored (community_id, granularity, offer_id, bucket, event_type, location_id, count)
    SELECT $1, granularity, offer_id, bucket, offer_event_name(event_type), location_id, delta
    FROM rollup_deltas
    WHERE NOT is_new
    ON CONFLICT (community_id, granularity, offer_id, bucket, event_type, location_id) DO UPDATE
    SET count = stored.count + excluded.count
),
updated_offers AS (
    UPDATE offers AS stored
    SET first_event_at = least(stored.first_event_at, deltas.first_event_at),
        last_event_at = greatest(stored.last_event_at, deltas.last_event_at),
        -- include: add_counters
    FROM (
        SELECT
            offer_id, min(occurred_at) AS first_event_at, max(occurred_at) AS last_event_at,
            -- include: event_counts
        FROM new_events
        GROUP BY offer_id
    ) AS deltas
    WHERE stored.community_id = $1 AND stored.id = deltas.offer_id
)
SELECT row_no FROM new_events
