-- Takes whatever profiles $2 of community $1 did with offers out of everything that is counted of it, in rollups of steps
-- $3 from the buckets in $4 on. An earlier statement holds the offers' rows.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
gone AS MATERIALIZED (
    DELETE FROM offer_events
    WHERE community_id = $1 AND profile_id = ANY ($2)
    RETURNING offer_id, event, at, coalesce(location_id, 0) AS location_id
),
rolled AS (
    UPDATE offer_rollups AS kept
    SET n = kept.n - moved.n
    FROM (
        SELECT step, offer_id, bucket, offer_event(event) AS event, location_id, count(*) AS n
        FROM (
            SELECT
                gone.offer_id, gone.event, gone.location_id, steps.step, steps.first_kept,
                bucket_start(gone.at, steps.step, zone.timezone) AS bucket
            FROM gone
            CROSS JOIN zone
            CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS steps (step, first_kept)
            OFFSET 0
        ) AS all_steps
        WHERE first_kept IS NULL OR bucket >= first_kept
        GROUP BY step, offer_id, bucket, event, location_id
    ) AS moved
    WHERE kept.community_id = $1 AND kept.step = moved.step AND kept.offer_id = moved.offer_id
      AND kept.bucket = moved.bucket AND kept.event = moved.event AND kept.location_id = moved.location_id
)
UPDATE offers AS kept
SET seen_count = kept.seen_count - told.seen,
    clicked_count = kept.clicked_count - told.clicked,
    granted_count = kept.granted_count - told.granted,
    used_count = kept.used_count - told.used
FROM (
    SELECT
        offer_id,
        count(*) FILTER (WHERE event = 1) AS seen,
        count(*) FILTER (WHERE event = 2) AS clicked,
        count(*) FILTER (WHERE event = 3) AS granted,
        count(*) FILTER (WHERE event = 4) AS used
    FROM gone
    GROUP BY offer_id
) AS told
WHERE kept.community_id = $1 AND kept.id = told.offer_id
