-- timeseries by tenant value, as in member_balance
-- Parameters: community
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    r.type AS "type",
    CAST(sum(r.count) AS bigint) AS "members_count"
FROM (
    TABLE rows
) AS r
GROUP BY 1, 3;

