-- What is stored of the offers of community $1 and differs from what their events say: counters, and rollups of the
-- granularities $2, each from the bucket $3 on; and references to rows that do not exist.
WITH community AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
granularities AS MATERIALIZED (
    SELECT granularity, coalesce(retention_start, '-infinity') AS retention_start
    FROM unnest($2::text[], $3::timestamptz[]) AS granularities (granularity, retention_start)
),
events AS MATERIALIZED (
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
recomputed_rollups AS MATERIALIZED (
    SELECT offer_id, granularity, bucket, event_type, location_id, count(*) AS count
    FROM (
        SELECT
            e.offer_id, e.event_type, e.location_id, granularities.granularity, granularities.retention_start,
            bucket_start(e.occurred_at, granularities.granularity, community.timezone) AS bucket
        FROM events AS e
        CROSS JOIN community
        CROSS JOIN granularities
        OFFSET 0
    ) AS bucketed
    WHERE bucket >= retention_start
    GROUP BY offer_id, granularity, bucket, event_type, location_id
)
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
    SELECT
        'offer ' || offer_id,
        event_type || ' at ' || location_id || ' in the ' || granularity || ' from ' || bucket,
        sum(stored)::text, sum(recomputed)::text
    FROM (
        SELECT r.offer_id, r.event_type, r.location_id, r.granularity, r.bucket, r.count AS stored, 0 AS recomputed
        FROM offer_rollups AS r
        JOIN granularities AS g ON g.granularity = r.granularity AND r.bucket >= g.retention_start
        WHERE r.community_id = $1
        UNION ALL
        SELECT offer_id, event_type, location_id, granularity, bucket, 0, count FROM recomputed_rollups
    ) AS rollups
    GROUP BY offer_id, event_type, location_id, granularity, bucket
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
