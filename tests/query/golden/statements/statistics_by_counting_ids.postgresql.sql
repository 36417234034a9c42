-- statistics by counting ids, as in links_visits_stats
-- Parameters: none
SELECT
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    TABLE rows
) AS r
GROUP BY r.part;

