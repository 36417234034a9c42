-- records by tenant, as in samples
-- Parameters: community
SELECT
    CAST($1 AS INT) AS "community_id",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    TABLE rows
) AS r
HAVING count(*) > 0;

