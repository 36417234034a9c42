-- timeseries by value, as in samples_history
-- Parameters: none
SELECT
    r.bucket AS bucket,
    r.size AS "size",
    count(*) AS "count"
FROM (
    TABLE rows
) AS r
GROUP BY 1, 2;

