-- What was sent to profile $2 of community $1 was sent to profile $3: who got one sending as both counts once there,
-- in rollups of steps $4 from the buckets in $5 on. An earlier statement holds the sendings' rows.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
dispatches AS MATERIALIZED (
    SELECT id, sending_id, profile_id, transmitted_at, gender, age, optin_platform, country
    FROM sending_dispatches
    WHERE community_id = $1 AND profile_id IN ($2, $3)
),
firsts AS MATERIALIZED (
    SELECT DISTINCT ON (sending_id, profile_id) *
    FROM dispatches
    WHERE transmitted_at IS NOT NULL
    ORDER BY sending_id, profile_id, transmitted_at, id
),
-- Of two first transmissions the later one is none.
doubled AS MATERIALIZED (
    SELECT DISTINCT ON (sending_id)
        sending_id, transmitted_at AS at,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions
    FROM firsts
    WHERE sending_id IN (SELECT sending_id FROM firsts GROUP BY sending_id HAVING count(*) = 2)
    ORDER BY sending_id, transmitted_at DESC, id DESC
),
rolled AS (
    UPDATE recipient_rollups AS kept
    SET n = kept.n - 1
    FROM (
        SELECT
            d.sending_id, d.dimensions, steps.step, bucket_start(d.at, steps.step, zone.timezone) AS bucket
        FROM doubled AS d
        CROSS JOIN zone
        CROSS JOIN unnest($4::text[], $5::timestamptz[]) AS steps (step, first_kept)
        OFFSET 0
    ) AS moved
    WHERE kept.community_id = $1 AND kept.step = moved.step AND kept.sending_id = moved.sending_id
      AND kept.bucket = moved.bucket AND kept.dimensions = moved.dimensions
),
counted AS (
    UPDATE sendings
    SET members_count = members_count - 1
    WHERE community_id = $1
      AND id IN (
          SELECT sending_id FROM dispatches GROUP BY sending_id HAVING count(DISTINCT profile_id) = 2
      )
)
UPDATE sending_dispatches
SET profile_id = $3
WHERE community_id = $1 AND profile_id = $2
