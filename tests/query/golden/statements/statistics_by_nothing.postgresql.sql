-- statistics by nothing, as in samples_stats
-- Parameters: none
SELECT
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    TABLE rows
) AS r
HAVING count(*) > 0;

