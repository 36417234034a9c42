-- statistics by value counting ids, as in links_visits_stats
-- Parameters: none
SELECT
    r.source_type AS "source_type",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    TABLE rows
) AS r
GROUP BY 1, r.part;

