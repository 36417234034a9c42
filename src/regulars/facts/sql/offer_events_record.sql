-- Tells events of offers in community $1, as arrays: of offers $2, digests of the events' own ids $3, codes $4, instants
-- $5, profiles $6 (the nil UUID for none), locations $7 (0 for none), transactions $8. Counts what is new in the offers
-- and in rollups of steps $9, of each from the bucket in $10 on (null: all). Gives the places, from 1, of the rows that
-- were new.
--
-- An earlier statement holds the offers' rows.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
arrays AS MATERIALIZED (
    SELECT
        CAST(CAST($2 AS text) AS bigint[]) AS offers, CAST(CAST($3 AS text) AS uuid[]) AS keys,
        CAST(CAST($4 AS text) AS smallint[]) AS events, CAST(CAST($5 AS text) AS timestamptz[]) AS ats,
        CAST(CAST($6 AS text) AS uuid[]) AS profiles, CAST(CAST($7 AS text) AS bigint[]) AS locations,
        CAST(CAST($8 AS text) AS text[]) AS transactions
),
given AS MATERIALIZED (
    SELECT
        place, offers[place] AS offer_id, keys[place] AS key, events[place] AS event, ats[place] AS at,
        nullif(profiles[place], '00000000-0000-0000-0000-000000000000') AS profile_id,
        locations[place] AS location_id, transactions[place] AS transaction
    FROM arrays
    -- A guess of a thousand rows, so that what follows is joined by hashes.
    CROSS JOIN LATERAL generate_subscripts(offers, 1) AS place
),
fresh AS MATERIALIZED (
    SELECT DISTINCT ON (g.offer_id, g.key) g.*
    FROM given AS g
    LEFT JOIN LATERAL (
        SELECT TRUE AS is_there
        FROM offer_events
        WHERE community_id = $1 AND offer_id = g.offer_id AND key = g.key
        OFFSET 0
    ) AS kept ON TRUE
    WHERE kept.is_there IS NULL
    ORDER BY g.offer_id, g.key, g.place
),
put_events AS (
    INSERT INTO offer_events (offer_id, at, key, profile_id, location_id, community_id, event, transaction)
    SELECT offer_id, at, key, profile_id, nullif(location_id, 0), $1, event, transaction
    FROM fresh
),
moves AS MATERIALIZED (
    SELECT offer_id, bucket, event, location_id, count(*) AS n
    FROM (
        SELECT offer_id, event, location_id, bucket_start(at, '5m', zone.timezone) AS bucket
        FROM fresh
        CROSS JOIN zone
        OFFSET 0
    ) AS bucketed
    GROUP BY offer_id, bucket, event, location_id
),
buckets AS MATERIALIZED (
    SELECT since, step, bucket
    FROM (
        SELECT
            seen.bucket AS since, steps.step, steps.first_kept,
            bucket_start(seen.bucket, steps.step, zone.timezone) AS bucket
        FROM (SELECT DISTINCT bucket FROM moves) AS seen
        CROSS JOIN zone
        CROSS JOIN unnest($9::text[], $10::timestamptz[]) AS steps (step, first_kept)
        OFFSET 0
    ) AS all_steps
    WHERE first_kept IS NULL OR bucket >= first_kept
),
rolled AS (
    INSERT INTO offer_rollups AS kept (community_id, step, offer_id, bucket, event, location_id, n)
    SELECT $1, b.step, m.offer_id, b.bucket, offer_event(m.event), m.location_id, sum(m.n)
    FROM moves AS m
    JOIN buckets AS b ON b.since = m.bucket
    GROUP BY b.step, m.offer_id, b.bucket, m.event, m.location_id
    ON CONFLICT (community_id, step, offer_id, bucket, event, location_id) DO UPDATE
    SET n = kept.n + excluded.n
),
counted AS (
    UPDATE offers AS kept
    SET seen_count = kept.seen_count + told.seen,
        clicked_count = kept.clicked_count + told.clicked,
        granted_count = kept.granted_count + told.granted,
        used_count = kept.used_count + told.used,
        first_at = least(kept.first_at, told.first_at),
        last_at = greatest(kept.last_at, told.last_at)
    FROM (
        SELECT
            offer_id, min(at) AS first_at, max(at) AS last_at,
            count(*) FILTER (WHERE event = 1) AS seen,
            count(*) FILTER (WHERE event = 2) AS clicked,
            count(*) FILTER (WHERE event = 3) AS granted,
            count(*) FILTER (WHERE event = 4) AS used
        FROM fresh
        GROUP BY offer_id
    ) AS told
    WHERE kept.community_id = $1 AND kept.id = told.offer_id
)
SELECT place FROM fresh
