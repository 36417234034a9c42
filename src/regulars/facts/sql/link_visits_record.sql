-- Tells visits of links in community $1, as arrays: digests of the visits' own ids $2, links $3, instants $4, who visited
-- $5 (the nil UUID for nobody who is known) and whether that is a profile $6. Counts what is new in buckets of steps $7,
-- of each from the bucket in $8 on (null: all), in segments of $9 visits. Gives the places, from 1, of what was new.
--
-- An earlier statement keeps other writers of the community's visits away.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
arrays AS MATERIALIZED (
    SELECT
        CAST(CAST($2 AS text) AS uuid[]) AS keys, CAST(CAST($3 AS text) AS bigint[]) AS links,
        CAST(CAST($4 AS text) AS timestamptz[]) AS ats, CAST(CAST($5 AS text) AS uuid[]) AS visitors,
        CAST(CAST($6 AS text) AS boolean[]) AS profiles
),
given AS MATERIALIZED (
    SELECT
        place, keys[place] AS key, links[place] AS link_id, ats[place] AS at, profiles[place] AS is_profile,
        nullif(visitors[place], '00000000-0000-0000-0000-000000000000') AS visitor
    FROM arrays
    -- A guess of a thousand rows, so that what follows is joined by hashes.
    CROSS JOIN LATERAL generate_subscripts(keys, 1) AS place
),
fresh AS MATERIALIZED (
    SELECT DISTINCT ON (g.key) g.*
    FROM given AS g
    LEFT JOIN LATERAL (
        SELECT TRUE AS is_there FROM link_visits WHERE community_id = $1 AND key = g.key OFFSET 0
    ) AS kept ON TRUE
    WHERE kept.is_there IS NULL
    ORDER BY g.key, g.place
),
known AS MATERIALIZED (
    SELECT named.visitor, named.is_profile, named.place, v.number
    FROM (
        SELECT visitor, is_profile, min(place) AS place
        FROM fresh
        WHERE visitor IS NOT NULL
        GROUP BY visitor, is_profile
    ) AS named
    LEFT JOIN LATERAL (
        SELECT number FROM link_visitors WHERE community_id = $1 AND key = named.visitor OFFSET 0
    ) AS v ON TRUE
),
met AS MATERIALIZED (
    SELECT
        visitor, is_profile,
        CAST(last.number + row_number() OVER (ORDER BY place) AS int) AS number
    FROM known
    CROSS JOIN (SELECT coalesce(max(number), 0) AS number FROM link_visitors WHERE community_id = $1) AS last
    WHERE known.number IS NULL
),
put_visitors AS (
    INSERT INTO link_visitors (community_id, key, number, is_profile)
    SELECT $1, visitor, number, is_profile
    FROM met
),
told AS MATERIALIZED (
    SELECT f.key, f.link_id, f.at, f.place, n.number, bucket_start(f.at, '5m', zone.timezone) AS since
    FROM fresh AS f
    CROSS JOIN zone
    LEFT JOIN (
        SELECT visitor, number FROM known WHERE number IS NOT NULL UNION ALL SELECT visitor, number FROM met
    ) AS n ON n.visitor = f.visitor
),
put_visits AS (
    INSERT INTO link_visits (link_id, at, key, community_id, visitor)
    SELECT link_id, at, key, $1, number
    FROM told
),
buckets AS MATERIALIZED (
    SELECT since, step, bucket
    FROM (
        SELECT
            seen.since, steps.step, steps.first_kept, bucket_start(seen.since, steps.step, zone.timezone) AS bucket
        FROM (SELECT DISTINCT since FROM told) AS seen
        CROSS JOIN zone
        CROSS JOIN unnest($7::text[], $8::timestamptz[]) AS steps (step, first_kept)
        OFFSET 0
    ) AS all_steps
    WHERE first_kept IS NULL OR bucket >= first_kept
),
placed AS MATERIALIZED (
    SELECT
        t.link_id, b.step, b.bucket, t.number,
        row_number() OVER (PARTITION BY t.link_id, b.step, b.bucket) - 1 AS place
    FROM told AS t
    JOIN buckets AS b ON b.since = t.since
),
-- Where the last segment has room left, it goes on.
begun AS MATERIALIZED (
    SELECT p.link_id, p.step, p.bucket, coalesce(last.segment, 0) AS segment, coalesce(last.visits, 0) AS visits
    FROM placed AS p
    LEFT JOIN LATERAL (
        SELECT segment, visits
        FROM link_rollups
        WHERE community_id = $1 AND step = p.step AND link_id = p.link_id AND bucket = p.bucket
        ORDER BY segment DESC
        LIMIT 1
    ) AS last ON TRUE
    WHERE p.place = 0
),
rolled AS (
    INSERT INTO link_rollups AS kept (link_id, bucket, community_id, segment, visits, step, visitors)
    SELECT
        p.link_id, p.bucket, $1, b.segment + (b.visits + p.place) / $9::int AS segment, count(*), p.step,
        coalesce(string_agg(int4send(p.number), ''), '')
    FROM placed AS p
    JOIN begun AS b ON b.link_id = p.link_id AND b.step = p.step AND b.bucket = p.bucket
    GROUP BY p.link_id, p.step, p.bucket, b.segment + (b.visits + p.place) / $9::int
    ON CONFLICT (community_id, step, link_id, bucket, segment) DO UPDATE
    SET visits = kept.visits + excluded.visits,
        visitors = kept.visitors || excluded.visitors
)
SELECT place FROM told
