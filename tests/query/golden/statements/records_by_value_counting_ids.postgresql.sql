-- records by value counting ids, as in sendings_links
-- Parameters: none
SELECT
    r.source_id AS "source_id",
    sum(r.visits) AS "visits_count",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits_count"
FROM (
    TABLE rows
) AS r
GROUP BY 1, r.part;

