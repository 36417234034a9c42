-- Makes the rollups of all visits of community $1 anew, by the clock of zone $2: of steps $3, of each from the bucket in
-- $4 on, in segments of $5 visits. An earlier statement took away what was there.
WITH told AS MATERIALIZED (
    SELECT link_id, visitor, bucket_start(at, '5m', $2) AS since
    FROM link_visits
    WHERE community_id = $1
    OFFSET 0
),
buckets AS MATERIALIZED (
    SELECT since, step, bucket
    FROM (
        SELECT seen.since, steps.step, steps.first_kept, bucket_start(seen.since, steps.step, $2) AS bucket
        FROM (SELECT DISTINCT since FROM told) AS seen
        CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS steps (step, first_kept)
        OFFSET 0
    ) AS all_steps
    WHERE first_kept IS NULL OR bucket >= first_kept
)
INSERT INTO link_rollups (link_id, bucket, community_id, segment, visits, step, visitors)
SELECT link_id, bucket, $1, place / $5::int, count(*), step, coalesce(string_agg(int4send(visitor), ''), '')
FROM (
    SELECT
        t.link_id, b.step, b.bucket, t.visitor,
        row_number() OVER (PARTITION BY t.link_id, b.step, b.bucket) - 1 AS place
    FROM told AS t
    JOIN buckets AS b ON b.since = t.since
) AS placed
GROUP BY step, link_id, bucket, place / $5::int
