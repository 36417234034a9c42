-- timeseries by flags, as in samples_history
-- Parameters: none
SELECT
    r.bucket AS bucket,
    r.element_1 AS "consent",
    r.element_1 = ANY (r.consents_true) AS "status",
    count(*) AS "count"
FROM (
    SELECT r.*, unnest(r.consents_true || r.consents_false) AS element_1
    FROM (
        TABLE rows
    ) AS r
) AS r
GROUP BY 1, 2, 3;

