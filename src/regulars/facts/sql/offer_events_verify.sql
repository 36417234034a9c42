-- What is kept of the offers of community $1 beside what their events say: counters and rollups of steps $2, of each
-- from the bucket in $3 on; and what names something that is not there.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
steps AS MATERIALIZED (
    SELECT step, coalesce(first_kept, '-infinity') AS first_kept
    FROM unnest($2::text[], $3::timestamptz[]) AS steps (step, first_kept)
),
events AS MATERIALIZED (
    SELECT offer_id, offer_event(event) AS event, at, coalesce(location_id, 0) AS location_id, profile_id
    FROM offer_events
    WHERE community_id = $1
),
kept AS MATERIALIZED (
    SELECT o.id AS offer_id, number.name, number.n
    FROM offers AS o
    CROSS JOIN LATERAL (
        VALUES
            ('seen_count', seen_count),
            ('clicked_count', clicked_count),
            ('granted_count', granted_count),
            ('used_count', used_count)
    ) AS number (name, n)
    WHERE o.community_id = $1
),
moves AS MATERIALIZED (
    SELECT offer_id, step, bucket, event, location_id, count(*) AS n
    FROM (
        SELECT
            e.offer_id, e.event, e.location_id, steps.step, steps.first_kept,
            bucket_start(e.at, steps.step, zone.timezone) AS bucket
        FROM events AS e
        CROSS JOIN zone
        CROSS JOIN steps
        OFFSET 0
    ) AS bucketed
    WHERE bucket >= first_kept
    GROUP BY offer_id, step, bucket, event, location_id
)
SELECT key, name, kept, recomputed
FROM (
    SELECT
        'offer ' || offer_id AS key, name, sum(kept)::text AS kept, sum(recomputed)::text AS recomputed
    FROM (
        SELECT offer_id, name, n AS kept, 0 AS recomputed FROM kept
        UNION ALL
        SELECT offer_id, event || '_count', 0, count(*) FROM events GROUP BY offer_id, event
    ) AS both_ways
    GROUP BY offer_id, name
    UNION ALL
    SELECT
        'offer ' || offer_id,
        event || ' at ' || location_id || ' in the ' || step || ' from ' || bucket,
        sum(kept)::text, sum(recomputed)::text
    FROM (
        SELECT r.offer_id, r.event, r.location_id, r.step, r.bucket, r.n AS kept, 0 AS recomputed
        FROM offer_rollups AS r
        JOIN steps ON steps.step = r.step AND r.bucket >= steps.first_kept
        WHERE r.community_id = $1
        UNION ALL
        SELECT offer_id, event, location_id, step, bucket, 0, n FROM moves
    ) AS both_ways
    GROUP BY offer_id, event, location_id, step, bucket
    UNION ALL
    SELECT 'offer ' || o.id, 'first_at, last_at', concat_ws(' ', o.first_at, o.last_at), concat_ws(' ', e.first_at, e.last_at)
    FROM offers AS o
    JOIN (
        SELECT offer_id, min(at) AS first_at, max(at) AS last_at FROM events GROUP BY offer_id
    ) AS e ON e.offer_id = o.id
    WHERE o.community_id = $1 AND (e.first_at < o.first_at OR e.last_at > o.last_at OR o.first_at IS NULL)
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
) AS told
WHERE kept IS DISTINCT FROM recomputed
ORDER BY key, name
