-- timeseries by list, as in samples_history
-- Parameters: none
SELECT
    r.bucket AS bucket,
    r.element_1 AS "mark",
    count(*) AS "count"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.marks) > 0 THEN r.marks ELSE array_append(r.marks, NULL) END) AS element_1
    FROM (
        TABLE rows
    ) AS r
) AS r
GROUP BY 1, 2;

