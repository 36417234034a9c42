-- Makes profile $3 of community $1 the recipient of what was sent to profile $2, in rollups of the granularities $4,
-- each from the bucket $5 on: a sending that went to both has one recipient less. An earlier statement locked the
-- sendings.
WITH
-- include: community
dispatches AS MATERIALIZED (
    SELECT id, sending_id, profile_id, transmitted_at, gender, age, optin_platform, country
    FROM sending_dispatches
    WHERE community_id = $1 AND profile_id IN ($2, $3)
),
first_transmissions AS MATERIALIZED (
    SELECT DISTINCT ON (sending_id, profile_id) *
    FROM dispatches
    WHERE transmitted_at IS NOT NULL
    ORDER BY sending_id, profile_id, transmitted_at, id
),
-- Of two first transmissions in a sending only the earlier one still counts.
superseded_transmissions AS MATERIALIZED (
    SELECT DISTINCT ON (sending_id)
        sending_id, transmitted_at,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions_hash
    FROM first_transmissions
    WHERE sending_id IN (SELECT sending_id FROM first_transmissions GROUP BY sending_id HAVING count(*) = 2)
    ORDER BY sending_id, transmitted_at DESC, id DESC
),
updated_recipient_rollups AS (
    UPDATE recipient_rollups AS stored
    SET count = stored.count - 1
    FROM (
        SELECT
            s.sending_id, s.dimensions_hash, granularities.granularity,
            bucket_start(s.transmitted_at, granularities.granularity, community.timezone) AS bucket
        FROM superseded_transmissions AS s
        CROSS JOIN community
        CROSS JOIN unnest($4::text[], $5::timestamptz[]) AS granularities (granularity, retention_start)
        OFFSET 0
    ) AS superseded
    WHERE stored.community_id = $1 AND stored.granularity = superseded.granularity
      AND stored.sending_id = superseded.sending_id AND stored.bucket = superseded.bucket
      AND stored.dimensions_hash = superseded.dimensions_hash
),
updated_sendings AS (
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
