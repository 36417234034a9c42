-- records by value, as in samples
-- Parameters: none
SELECT
    r.name AS "name",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    TABLE rows
) AS r
GROUP BY 1;

