-- records by tenant, as in samples_in_duckdb
-- Parameters: community
SELECT
    CAST($1 AS INT) AS "community_id",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM rows
) AS r
HAVING count(*) > 0;

