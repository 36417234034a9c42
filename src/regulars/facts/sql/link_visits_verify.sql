-- What is kept of visits of links in community $1 beside the visits themselves: rollups of steps $2, of each from the
-- bucket in $3 on, links and visitors.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
steps AS MATERIALIZED (
    SELECT step, coalesce(first_kept, '-infinity') AS first_kept
    FROM unnest($2::text[], $3::timestamptz[]) AS steps (step, first_kept)
),
visits AS MATERIALIZED (
    SELECT link_id, at, visitor FROM link_visits WHERE community_id = $1
),
-- Each visitor as often as it visited; 0 stands for those that are not known.
facts AS MATERIALIZED (
    SELECT link_id, step, bucket, visitor, count(*) AS visits
    FROM (
        SELECT
            v.link_id, coalesce(v.visitor, 0) AS visitor, steps.step, steps.first_kept,
            bucket_start(v.at, steps.step, zone.timezone) AS bucket
        FROM visits AS v
        CROSS JOIN zone
        CROSS JOIN steps
        OFFSET 0
    ) AS bucketed
    WHERE bucket >= first_kept
    GROUP BY link_id, step, bucket, visitor
),
segments AS MATERIALIZED (
    SELECT k.link_id, k.step, k.bucket, k.visits, k.visitors
    FROM link_rollups AS k
    JOIN steps ON steps.step = k.step AND k.bucket >= steps.first_kept
    WHERE k.community_id = $1
),
kept AS MATERIALIZED (
    SELECT link_id, step, bucket, visitor, sum(visits) AS visits
    FROM (
        SELECT link_id, step, bucket, n.visitor, 1 AS visits
        FROM segments
        CROSS JOIN LATERAL visitor_numbers(visitors) AS n (visitor)
        UNION ALL
        SELECT link_id, step, bucket, 0, visits - length(visitors) / 4
        FROM segments
        WHERE visits <> length(visitors) / 4
    ) AS each
    GROUP BY link_id, step, bucket, visitor
)
SELECT key, name, kept, recomputed
FROM (
    SELECT
        'link ' || link_id AS key, 'visits in the ' || step || ' from ' || bucket AS name,
        string_agg(kept || ' by ' || visitor, ', ' ORDER BY visitor) AS kept,
        string_agg(recomputed || ' by ' || visitor, ', ' ORDER BY visitor) AS recomputed
    FROM (
        SELECT link_id, step, bucket, visitor, coalesce(k.visits, 0) AS kept, coalesce(f.visits, 0) AS recomputed
        FROM facts AS f
        FULL JOIN kept AS k USING (link_id, step, bucket, visitor)
        WHERE f.visits IS DISTINCT FROM k.visits
    ) AS differing
    GROUP BY link_id, step, bucket
    UNION ALL
    SELECT 'visits of link ' || v.link_id, 'link', 'a row', NULL
    FROM (SELECT DISTINCT link_id FROM visits) AS v
    WHERE NOT EXISTS (SELECT FROM links AS l WHERE l.community_id = $1 AND l.id = v.link_id)
    UNION ALL
    SELECT 'link ' || l.id, 'sending_id', CAST(l.sending_id AS text), NULL
    FROM links AS l
    WHERE l.community_id = $1 AND l.sending_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM sendings AS s WHERE s.community_id = $1 AND s.id = l.sending_id)
    UNION ALL
    SELECT 'visits by visitor ' || v.visitor, 'visitor', 'a row', NULL
    FROM (SELECT DISTINCT visitor FROM visits) AS v
    WHERE v.visitor IS NOT NULL
      AND NOT EXISTS (SELECT FROM link_visitors AS w WHERE w.community_id = $1 AND w.number = v.visitor)
    UNION ALL
    SELECT 'visitor ' || w.number, 'profile_id', CAST(w.key AS text), NULL
    FROM link_visitors AS w
    WHERE w.community_id = $1 AND w.is_profile
      AND NOT EXISTS (SELECT FROM profiles AS p WHERE p.community_id = $1 AND p.profile_id = w.key)
) AS told
WHERE kept IS DISTINCT FROM recomputed
ORDER BY key, name
