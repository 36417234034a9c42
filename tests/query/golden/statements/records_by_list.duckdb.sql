-- records by list, as in samples_in_duckdb
-- Parameters: none
SELECT
    r.element_1 AS "mark",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.marks) > 0 THEN r.marks ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM rows
    ) AS r
) AS r
GROUP BY 1;

