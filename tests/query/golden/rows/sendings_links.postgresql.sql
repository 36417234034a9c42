-- Rows of sendings_links
-- Parameters: community
SELECT l.source_type,
    CASE l.source_type
        WHEN 'sending' THEN coalesce(CAST(s.reporting_id AS text) COLLATE "C", s.service_type)
        ELSE l.offer_external_id
    END AS source_id,
    l.host, l.path, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.id & 3 AS part, k.visits, k.visitor_nos AS visitors
FROM links AS l
LEFT JOIN sendings AS s ON s.community_id = l.community_id AND s.id = l.sending_id
JOIN link_rollups AS k ON k.link_id = l.id
WHERE l.community_id = CAST($1 AS INT) AND (l.sending_id IS NULL OR NOT s.is_placeholder) AND l.sending_id IS NOT NULL
  AND k.community_id = CAST($1 AS INT) AND k.granularity = '1mo';

