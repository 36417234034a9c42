-- timeseries by tenant value limited, as in members_count_history
-- Parameters: community, max_rows
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    CAST(sum(r.members_count) AS bigint) AS "members_count"
FROM (
    TABLE rows
) AS r
GROUP BY r.place, r.grouping_value, 1, 3, 4
ORDER BY r.place, r.grouping_value, 1
LIMIT CAST($2 AS BIGINT);

