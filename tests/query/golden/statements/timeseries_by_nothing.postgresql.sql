-- timeseries by nothing, as in samples_history
-- Parameters: none
SELECT
    r.bucket AS bucket,
    count(*) AS "count"
FROM (
    TABLE rows
) AS r
GROUP BY 1;

