-- Visits by visitors $2 of community $1, by number, are from now on by visitors $3; 0 takes the visits away. Changes the
-- buckets of steps $4 that they are in. Gives their links.
--
-- An earlier statement keeps other writers of the community's visits away.
WITH changed AS MATERIALIZED (
    SELECT number, nullif(becomes, 0) AS becomes, becomes = 0 AS is_gone
    FROM unnest($2::int[], $3::int[]) AS changed (number, becomes)
),
touched AS MATERIALIZED (
    SELECT DISTINCT link_id, step, bucket
    FROM (
        SELECT v.link_id, steps.step, bucket_start(v.at, steps.step, zone.timezone) AS bucket
        FROM link_visits AS v
        CROSS JOIN (SELECT timezone FROM communities WHERE id = $1) AS zone
        CROSS JOIN unnest($4::text[]) AS steps (step)
        WHERE v.community_id = $1 AND v.visitor = ANY ($2::int[])
        OFFSET 0
    ) AS bucketed
),
rewritten AS MATERIALIZED (
    SELECT
        k.step, k.link_id, k.bucket, k.segment,
        k.visits - count(*) FILTER (WHERE c.is_gone) AS visits,
        coalesce(
            string_agg(int4send(coalesce(c.becomes, n.number)), '') FILTER (WHERE c.is_gone IS NOT TRUE), ''
        ) AS visitors
    FROM touched AS t
    CROSS JOIN LATERAL (
        SELECT *
        FROM link_rollups AS r
        WHERE r.community_id = $1 AND r.step = t.step AND r.link_id = t.link_id AND r.bucket = t.bucket
          -- Four bytes may be found where they are parts of two numbers: then nothing changes.
          AND EXISTS (SELECT FROM changed WHERE position(int4send(number) IN r.visitors) > 0)
        OFFSET 0
    ) AS k
    CROSS JOIN LATERAL visitor_numbers(k.visitors) AS n (number)
    LEFT JOIN changed AS c ON c.number = n.number
    GROUP BY k.step, k.link_id, k.bucket, k.segment, k.visits
),
rolled AS (
    UPDATE link_rollups AS kept
    SET visits = rewritten.visits,
        visitors = rewritten.visitors
    FROM rewritten
    WHERE kept.community_id = $1 AND kept.step = rewritten.step AND kept.link_id = rewritten.link_id
      AND kept.bucket = rewritten.bucket AND kept.segment = rewritten.segment AND rewritten.visits > 0
),
emptied AS (
    DELETE FROM link_rollups AS kept
    USING rewritten
    WHERE kept.community_id = $1 AND kept.step = rewritten.step AND kept.link_id = rewritten.link_id
      AND kept.bucket = rewritten.bucket AND kept.segment = rewritten.segment AND rewritten.visits = 0
),
moved AS (
    UPDATE link_visits AS kept
    SET visitor = changed.becomes
    FROM changed
    WHERE kept.community_id = $1 AND kept.visitor = changed.number AND NOT changed.is_gone
),
taken_away AS (
    DELETE FROM link_visits AS kept
    USING changed
    WHERE kept.community_id = $1 AND kept.visitor = changed.number AND changed.is_gone
),
left_behind AS (
    DELETE FROM link_visitors WHERE community_id = $1 AND number = ANY ($2::int[])
)
SELECT DISTINCT link_id FROM touched
