-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: club, community
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    r.source_id AS "source_id",
    sum(r.visits) AS "visits_count",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits_count"
FROM (
    SELECT l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($2 AS INT) AND (l.sending_id IS NULL OR s.is_known) AND l.sending_id IS NOT NULL
      AND k.community_id = CAST($2 AS INT) AND k.step = '1mo'
) AS r
GROUP BY 2, r.part;

-- by_loyalty_club_id: club, community
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    sum(r.visits) AS "visits_count",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits_count"
FROM (
    SELECT l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($2 AS INT) AND (l.sending_id IS NULL OR s.is_known) AND l.sending_id IS NOT NULL
      AND k.community_id = CAST($2 AS INT) AND k.step = '1mo'
) AS r
GROUP BY r.part;

-- by_source_id: community
SELECT
    r.source_id AS "source_id",
    sum(r.visits) AS "visits_count",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits_count"
FROM (
    SELECT l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known) AND l.sending_id IS NOT NULL
      AND k.community_id = CAST($1 AS INT) AND k.step = '1mo'
) AS r
GROUP BY 1, r.part;

-- by_community_id: community
SELECT
    CAST($1 AS INT) AS "community_id",
    sum(r.visits) AS "visits_count",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits_count"
FROM (
    SELECT l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known) AND l.sending_id IS NOT NULL
      AND k.community_id = CAST($1 AS INT) AND k.step = '1mo'
) AS r
GROUP BY r.part;
