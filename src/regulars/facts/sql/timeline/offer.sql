-- The events of offers to profile $2 of community $1 before the position of a cursor, latest first; $3 of them at most.
SELECT
    event.occurred_at AS at, event.offer_id, event.event_key_hash, offer_event_name(event.event_type) AS type,
    coalesce(offer.name, offer.external_id) AS title, offer.external_id AS offer_external_id, event.location_id,
    event.transaction_external_id
FROM (
    SELECT occurred_at, offer_id, event_key_hash, event_type, location_id, transaction_external_id
    FROM offer_events
    WHERE community_id = $1 AND profile_id = $2
      -- include: before
    ORDER BY occurred_at DESC, offer_id DESC, event_key_hash DESC
    LIMIT $3
) AS event
JOIN offers AS offer ON offer.community_id = $1 AND offer.id = event.offer_id
ORDER BY event.occurred_at DESC, event.offer_id DESC, event.event_key_hash DESC
