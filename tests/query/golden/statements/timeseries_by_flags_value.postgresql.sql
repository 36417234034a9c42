-- timeseries by flags value, as in member_balance
-- Parameters: none
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    r.element_2 AS "consent",
    r.element_2 = ANY (r.consents_true) AS "status",
    CAST(sum(r.count) AS bigint) AS "members_count"
FROM (
    SELECT r.*, unnest(r.consents_true || r.consents_false) AS element_2
    FROM (
        TABLE rows
    ) AS r
) AS r
GROUP BY 1, 2, 3, 4;

