-- records by tenant value counting ids, as in sendings_links
-- Parameters: club
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    r.source_id AS "source_id",
    r.host AS "host",
    r.path AS "path",
    r.utm_campaign AS "utm_campaign",
    r.utm_content AS "utm_content",
    r.utm_medium AS "utm_medium",
    r.utm_source AS "utm_source",
    r.utm_term AS "utm_term",
    sum(r.visits) AS "visits_count",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits_count"
FROM (
    TABLE rows
) AS r
GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, r.part;

