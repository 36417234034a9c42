-- Rows of offers_events_stats
-- Parameters: community, from, to
SELECT
    o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event_type, e.profile_id,
    CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
FROM offers AS o
CROSS JOIN LATERAL (
    SELECT event_type, profile_id, location_id
    FROM offer_events
    WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
      AND event_type IN (1, 2)
      AND occurred_at >= CAST($2 AS TIMESTAMPTZ) AND occurred_at < CAST($3 AS TIMESTAMPTZ)
    OFFSET 0
) AS e
WHERE o.community_id = CAST($1 AS INT) AND NOT o.is_placeholder AND o.first_event_at < CAST($3 AS TIMESTAMPTZ) AND o.last_event_at >= CAST($2 AS TIMESTAMPTZ);

