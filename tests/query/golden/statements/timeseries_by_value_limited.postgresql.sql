-- timeseries by value limited, as in members_count_history
-- Parameters: max_rows
SELECT
    r.bucket AS bucket,
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    CAST(sum(r.members_count) AS bigint) AS "members_count"
FROM (
    TABLE rows
) AS r
GROUP BY r.place, r.grouping_value, 1, 2, 3
ORDER BY r.place, r.grouping_value, 1
LIMIT CAST($1 AS BIGINT);

