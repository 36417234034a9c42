-- What is stored of the links of community $1 and differs from what their visits say: rollups of the granularities $2,
-- each from the bucket $3 on, by the clock of time zone $4; and references to rows that do not exist.
WITH granularities AS MATERIALIZED (
    SELECT granularity, coalesce(retention_start, '-infinity') AS retention_start
    FROM unnest($2::text[], $3::timestamptz[]) AS granularities (granularity, retention_start)
),
visits AS MATERIALIZED (
    SELECT link_id, visited_at, visitor_no FROM link_visits WHERE community_id = $1
),
-- How often each visitor visited; 0 stands for unknown visitors.
recomputed_rollups AS MATERIALIZED (
    SELECT link_id, granularity, bucket, visitor_no, count(*) AS visits
    FROM (
        SELECT
            v.link_id, coalesce(v.visitor_no, 0) AS visitor_no, granularities.granularity,
            granularities.retention_start,
            bucket_start(v.visited_at, granularities.granularity, $4) AS bucket
        FROM visits AS v
        CROSS JOIN granularities
        OFFSET 0
    ) AS bucketed
    WHERE bucket >= retention_start
    GROUP BY link_id, granularity, bucket, visitor_no
),
segments AS MATERIALIZED (
    SELECT r.link_id, r.granularity, r.bucket, r.visits, r.visitor_nos
    FROM link_rollups AS r
    JOIN granularities AS g ON g.granularity = r.granularity AND r.bucket >= g.retention_start
    WHERE r.community_id = $1
),
stored_rollups AS MATERIALIZED (
    SELECT link_id, granularity, bucket, visitor_no, sum(visits) AS visits
    FROM (
        SELECT link_id, granularity, bucket, n.visitor_no, 1 AS visits
        FROM segments
        CROSS JOIN LATERAL visitor_numbers(visitor_nos) AS n (visitor_no)
        UNION ALL
        SELECT link_id, granularity, bucket, 0, visits - length(visitor_nos) / 4
        FROM segments
        WHERE visits <> length(visitor_nos) / 4
    ) AS by_visitor
    GROUP BY link_id, granularity, bucket, visitor_no
)
SELECT key, name, stored, recomputed
FROM (
    SELECT
        'link ' || link_id AS key, 'visits in the ' || granularity || ' from ' || bucket AS name,
        string_agg(stored || ' by ' || visitor_no, ', ' ORDER BY visitor_no) AS stored,
        string_agg(recomputed || ' by ' || visitor_no, ', ' ORDER BY visitor_no) AS recomputed
    FROM (
        SELECT
            link_id, granularity, bucket, visitor_no, coalesce(s.visits, 0) AS stored,
            coalesce(r.visits, 0) AS recomputed
        FROM recomputed_rollups AS r
        FULL JOIN stored_rollups AS s USING (link_id, granularity, bucket, visitor_no)
        WHERE r.visits IS DISTINCT FROM s.visits
    ) AS differing
    GROUP BY link_id, granularity, bucket
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
    SELECT 'visits by visitor ' || v.visitor_no, 'visitor', 'a row', NULL
    FROM (SELECT DISTINCT visitor_no FROM visits) AS v
    WHERE v.visitor_no IS NOT NULL
      AND NOT EXISTS (SELECT FROM link_visitors AS w WHERE w.community_id = $1 AND w.visitor_no = v.visitor_no)
    UNION ALL
    SELECT 'visitor ' || w.visitor_no, 'profile_id', CAST(w.visitor_hash AS text), NULL
    FROM link_visitors AS w
    WHERE w.community_id = $1 AND w.is_profile
      AND NOT EXISTS (SELECT FROM profiles AS p WHERE p.community_id = $1 AND p.profile_id = w.visitor_hash)
) AS compared
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
