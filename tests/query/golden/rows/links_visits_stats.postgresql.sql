-- Rows of links_visits_stats
-- Parameters: from, to, now, community, zone
WITH span AS MATERIALIZED (
    SELECT
        greatest(CAST($1 AS TIMESTAMPTZ), min(visited_at) - interval '62 days') AS since,
        least(CAST($2 AS TIMESTAMPTZ), CAST($3 AS TIMESTAMPTZ) + interval '62 days') AS until
    FROM link_visits
    WHERE community_id = CAST($4 AS INT)
),
months AS MATERIALIZED (
    SELECT m.bucket, m.ends FROM span CROSS JOIN LATERAL complete_buckets('1mo', since, until, CAST($5 AS TEXT)) AS m
),
middle AS MATERIALIZED (
    SELECT min(bucket) AS since, max(ends) AS until FROM months
),
days AS MATERIALIZED (
    SELECT d.bucket, d.ends, coalesce(d.bucket >= middle.until, FALSE) AS is_after
    FROM span
    CROSS JOIN middle
    CROSS JOIN LATERAL (
        SELECT * FROM complete_buckets('1d', span.since, least(span.until, span.since + interval '62 days'), CAST($5 AS TEXT))
        UNION
        SELECT * FROM complete_buckets('1d', greatest(span.since, span.until - interval '62 days'), span.until, CAST($5 AS TEXT))
    ) AS d
    WHERE d.bucket >= CAST(CAST($3 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' AND (d.ends <= middle.since OR d.bucket >= middle.until OR middle.since IS NULL)
),
pieces AS MATERIALIZED (
    SELECT '1mo' AS granularity, FALSE AS is_after, since, until FROM middle WHERE since IS NOT NULL
    UNION ALL
    SELECT '1d', is_after, min(bucket), max(ends) FROM days GROUP BY is_after
),
gaps AS MATERIALIZED (
    SELECT since, until
    FROM (
        SELECT coalesce(lag(until) OVER (ORDER BY since), CAST($1 AS TIMESTAMPTZ)) AS since, since AS until
        FROM (SELECT since, until FROM pieces UNION ALL SELECT CAST($2 AS TIMESTAMPTZ), CAST($2 AS TIMESTAMPTZ)) AS ends
    ) AS boundaries
    WHERE since < until
),
remaining AS MATERIALIZED (
    SELECT v.link_id, count(*) AS visits, string_agg(int4send(v.visitor_no), '') AS visitors
    FROM gaps AS g
    CROSS JOIN LATERAL (
        SELECT link_id, visitor_no
        FROM link_visits
        WHERE community_id = CAST($4 AS INT) AND visited_at >= g.since AND visited_at < g.until
        OFFSET 0
    ) AS v
    GROUP BY v.link_id
)
SELECT l.source_type,
    CASE l.source_type
        WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
        ELSE l.offer_external_id
    END AS source_id,
    l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, b.visits, b.visitors
FROM links AS l
LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
JOIN remaining AS b ON b.link_id = l.id
WHERE l.community_id = CAST($4 AS INT) AND (l.sending_id IS NULL OR NOT s.is_placeholder)
UNION ALL
SELECT l.source_type,
    CASE l.source_type
        WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
        ELSE l.offer_external_id
    END AS source_id,
    l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitor_nos AS visitors
FROM links AS l
LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
CROSS JOIN LATERAL (
    SELECT visits, visitor_nos
    FROM link_rollups
    WHERE community_id = CAST($4 AS INT) AND granularity = '1mo' AND link_id = l.id
      AND bucket >= (SELECT since FROM pieces WHERE granularity = '1mo' AND is_after = False)
      AND bucket < (SELECT until FROM pieces WHERE granularity = '1mo' AND is_after = False)
    OFFSET 0
) AS k
WHERE l.community_id = CAST($4 AS INT) AND (l.sending_id IS NULL OR NOT s.is_placeholder)
UNION ALL
SELECT l.source_type,
    CASE l.source_type
        WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
        ELSE l.offer_external_id
    END AS source_id,
    l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitor_nos AS visitors
FROM links AS l
LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
CROSS JOIN LATERAL (
    SELECT visits, visitor_nos
    FROM link_rollups
    WHERE community_id = CAST($4 AS INT) AND granularity = '1d' AND link_id = l.id
      AND bucket >= (SELECT since FROM pieces WHERE granularity = '1d' AND is_after = False)
      AND bucket < (SELECT until FROM pieces WHERE granularity = '1d' AND is_after = False)
    OFFSET 0
) AS k
WHERE l.community_id = CAST($4 AS INT) AND (l.sending_id IS NULL OR NOT s.is_placeholder)
UNION ALL
SELECT l.source_type,
    CASE l.source_type
        WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
        ELSE l.offer_external_id
    END AS source_id,
    l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitor_nos AS visitors
FROM links AS l
LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
CROSS JOIN LATERAL (
    SELECT visits, visitor_nos
    FROM link_rollups
    WHERE community_id = CAST($4 AS INT) AND granularity = '1d' AND link_id = l.id
      AND bucket >= (SELECT since FROM pieces WHERE granularity = '1d' AND is_after = True)
      AND bucket < (SELECT until FROM pieces WHERE granularity = '1d' AND is_after = True)
    OFFSET 0
) AS k
WHERE l.community_id = CAST($4 AS INT) AND (l.sending_id IS NULL OR NOT s.is_placeholder);

