-- timeseries by tenant, as in samples_history
-- Parameters: community
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    count(*) AS "count"
FROM (
    TABLE rows
) AS r
GROUP BY 1;

