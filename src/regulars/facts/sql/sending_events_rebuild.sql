-- Makes the rollups of all sendings of community $1 anew, by the clock of zone $2: of steps $3, of each from the bucket
-- in $4 on. An earlier statement holds the sendings' rows, and took away what was there.
WITH steps AS MATERIALIZED (
    SELECT step, first_kept FROM unnest($3::text[], $4::timestamptz[]) AS steps (step, first_kept)
),
moves AS MATERIALIZED (
    SELECT sending_id, bucket, event, count(*) AS n
    FROM (
        SELECT sending_id, event, bucket_start(at, '5m', $2) AS bucket
        FROM sending_events
        WHERE community_id = $1
        OFFSET 0
    ) AS bucketed
    GROUP BY sending_id, bucket, event
),
recipients AS MATERIALIZED (
    SELECT
        sending_id, bucket, gender, age, optin_platform, country, count(*) AS n,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions
    FROM (
        SELECT DISTINCT ON (sending_id, coalesce(CAST(profile_id AS text), CAST(id AS text)))
            sending_id, gender, age, optin_platform, country, bucket_start(transmitted_at, '5m', $2) AS bucket
        FROM sending_dispatches
        WHERE community_id = $1 AND transmitted_at IS NOT NULL
        ORDER BY sending_id, coalesce(CAST(profile_id AS text), CAST(id AS text)), transmitted_at, id
    ) AS firsts
    GROUP BY sending_id, bucket, gender, age, optin_platform, country
),
buckets AS MATERIALIZED (
    SELECT since, step, bucket
    FROM (
        SELECT seen.bucket AS since, steps.*, bucket_start(seen.bucket, steps.step, $2) AS bucket
        FROM (SELECT bucket FROM moves UNION SELECT bucket FROM recipients) AS seen
        CROSS JOIN steps
        OFFSET 0
    ) AS all_steps
    WHERE first_kept IS NULL OR bucket >= first_kept
),
rolled_recipients AS (
    INSERT INTO recipient_rollups (
        community_id, step, sending_id, bucket, dimensions, gender, age, optin_platform, country, n
    )
    SELECT $1, b.step, r.sending_id, b.bucket, r.dimensions, r.gender, r.age, r.optin_platform, r.country, sum(r.n)
    FROM recipients AS r
    JOIN buckets AS b ON b.since = r.bucket AND b.step <> '5m'
    GROUP BY b.step, r.sending_id, b.bucket, r.dimensions, r.gender, r.age, r.optin_platform, r.country
)
INSERT INTO sending_rollups (community_id, step, sending_id, bucket, event, n)
SELECT $1, b.step, m.sending_id, b.bucket, sending_event(m.event), sum(m.n)
FROM moves AS m
JOIN buckets AS b ON b.since = m.bucket
GROUP BY b.step, m.sending_id, b.bucket, m.event
