-- records by tenant counting ids, as in sendings_links
-- Parameters: club
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    sum(r.visits) AS "visits_count",
    coalesce(string_agg(r.visitors, ''), '') AS "unique_visits_count"
FROM (
    TABLE rows
) AS r
GROUP BY r.part;

