-- records by value, as in samples_in_duckdb
-- Parameters: none
SELECT
    r.name AS "name",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM rows
) AS r
GROUP BY 1;

