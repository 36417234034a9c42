-- Makes the rollups of all offers of community $1 anew, by the clock of zone $2: of steps $3, of each from the bucket in
-- $4 on. An earlier statement holds the offers' rows, and took away what was there.
WITH moves AS MATERIALIZED (
    SELECT offer_id, bucket, event, location_id, count(*) AS n
    FROM (
        SELECT offer_id, event, coalesce(location_id, 0) AS location_id, bucket_start(at, '5m', $2) AS bucket
        FROM offer_events
        WHERE community_id = $1
        OFFSET 0
    ) AS bucketed
    GROUP BY offer_id, bucket, event, location_id
),
buckets AS MATERIALIZED (
    SELECT since, step, bucket
    FROM (
        SELECT seen.bucket AS since, steps.*, bucket_start(seen.bucket, steps.step, $2) AS bucket
        FROM (SELECT DISTINCT bucket FROM moves) AS seen
        CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS steps (step, first_kept)
        OFFSET 0
    ) AS all_steps
    WHERE first_kept IS NULL OR bucket >= first_kept
)
INSERT INTO offer_rollups (community_id, step, offer_id, bucket, event, location_id, n)
SELECT $1, b.step, m.offer_id, b.bucket, offer_event(m.event), m.location_id, sum(m.n)
FROM moves AS m
JOIN buckets AS b ON b.since = m.bucket
GROUP BY b.step, m.offer_id, b.bucket, m.event, m.location_id
