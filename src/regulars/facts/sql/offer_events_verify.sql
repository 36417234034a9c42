-- What is stored of the offers of community $1 and differs from what their events say: counters, and rollups, see
-- bucket_totals.sql; and references to rows that do not exist.
WITH events AS MATERIALIZED (
    SELECT
        offer_id, offer_event_name(event_type) AS event_type, occurred_at, coalesce(location_id, 0) AS location_id,
        profile_id
    FROM offer_events
    WHERE community_id = $1
),
stored_counters AS MATERIALIZED (
    SELECT o.id AS offer_id, counters.name, counters.count
    FROM offers AS o
    CROSS JOIN LATERAL (
        VALUES
            ('seen_count', seen_count),
            ('clicked_count', clicked_count),
            ('granted_count', granted_count),
            ('used_count', used_count)
    ) AS counters (name, count)
    WHERE o.community_id = $1
),
stored_buckets AS (
    SELECT
        'offer ' || offer_id AS key, event_type || ' at ' || location_id AS counted, granularity, bucket, count AS stored,
        0 AS recomputed
    FROM offer_rollups
    WHERE community_id = $1
),
changes AS (
    SELECT
        'offer ' || offer_id AS key, event_type || ' at ' || location_id AS counted, occurred_at AS at, 0 AS stored,
        1 AS recomputed
    FROM events
),
-- include: bucket_totals
SELECT key, name, stored, recomputed
FROM (
    SELECT
        'offer ' || offer_id AS key, name, sum(stored)::text AS stored, sum(recomputed)::text AS recomputed
    FROM (
        SELECT offer_id, name, count AS stored, 0 AS recomputed FROM stored_counters
        UNION ALL
        SELECT offer_id, event_type || '_count', 0, count(*) FROM events GROUP BY offer_id, event_type
    ) AS counters
    GROUP BY offer_id, name
    UNION ALL
    SELECT key, name, stored, recomputed FROM bucket_totals
    UNION ALL
    SELECT
        'offer ' || o.id, 'first_event_at, last_event_at', concat_ws(' ', o.first_event_at, o.last_event_at),
        concat_ws(' ', e.first_event_at, e.last_event_at)
    FROM offers AS o
    JOIN (
        SELECT offer_id, min(occurred_at) AS first_event_at, max(occurred_at) AS last_event_at
        FROM events
        GROUP BY offer_id
    ) AS e ON e.offer_id = o.id
    WHERE o.community_id = $1
      AND (
          e.first_event_at < o.first_event_at OR e.last_event_at > o.last_event_at OR o.first_event_at IS NULL
      )
    UNION ALL
    SELECT 'events of offer ' || e.offer_id, 'offer_id', e.offer_id::text, NULL
    FROM (SELECT DISTINCT offer_id FROM events) AS e
    WHERE NOT EXISTS (SELECT FROM offers AS o WHERE o.community_id = $1 AND o.id = e.offer_id)
    UNION ALL
    SELECT 'events of offer ' || e.offer_id, 'profile_id', e.profile_id::text, NULL
    FROM (SELECT DISTINCT offer_id, profile_id FROM events WHERE profile_id IS NOT NULL) AS e
    WHERE NOT EXISTS (SELECT FROM profiles AS p WHERE p.community_id = $1 AND p.profile_id = e.profile_id)
    UNION ALL
    SELECT 'events of offer ' || e.offer_id, 'location_id', e.location_id::text, NULL
    FROM (SELECT DISTINCT offer_id, location_id FROM events WHERE location_id <> 0) AS e
    WHERE NOT EXISTS (SELECT FROM locations AS l WHERE l.community_id = $1 AND l.id = e.location_id)
    UNION ALL
    SELECT 'offer ' || o.id, 'collection_ids', o.collection_id::text, NULL
    FROM (SELECT id, unnest(collection_ids) AS collection_id FROM offers WHERE community_id = $1) AS o
    WHERE NOT EXISTS (
        SELECT FROM offer_collections AS c WHERE c.community_id = $1 AND c.id = o.collection_id
    )
    UNION ALL
    SELECT 'offer ' || o.id, 'location_id', o.location_id::text, NULL
    FROM offers AS o
    WHERE o.community_id = $1 AND o.location_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM locations AS l WHERE l.community_id = $1 AND l.id = o.location_id)
) AS compared
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
