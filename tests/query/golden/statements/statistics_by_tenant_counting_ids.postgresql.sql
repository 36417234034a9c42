-- statistics by tenant counting ids, as in links_visits_stats
-- Parameters: community
SELECT
    CAST($1 AS INT) AS "community_id",
    sum(r.visits) AS "visits",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits"
FROM (
    TABLE rows
) AS r
GROUP BY r.part;

