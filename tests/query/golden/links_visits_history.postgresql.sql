-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, interval, starts
SELECT
    r.bucket AS bucket,
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, r.part;

-- community_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, r.part;

-- loyalty_club_id: club, community, interval, starts
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "loyalty_club_id",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($2 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($2 AS INT) AND k.step = CAST($3 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, r.part;

-- source_type: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.source_type AS "source_type",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- source_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.source_id AS "source_id",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- host: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.host AS "host",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- path: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.path AS "path",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- utm_source: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.utm_source AS "utm_source",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- utm_medium: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.utm_medium AS "utm_medium",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- utm_campaign: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.utm_campaign AS "utm_campaign",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- utm_content: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.utm_content AS "utm_content",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;

-- utm_term: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.utm_term AS "utm_term",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    SELECT k.bucket, l.source_type,
        CASE l.source_type
            WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
            ELSE l.offer
        END AS source_id,
        l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitors
    FROM links AS l
    LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
    JOIN link_rollups AS k ON k.link_id = l.id
    WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR s.is_known)
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, r.part;
