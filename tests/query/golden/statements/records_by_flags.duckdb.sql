-- records by flags, as in samples_in_duckdb
-- Parameters: none
SELECT
    r.element_1 AS "consent",
    list_contains(r.consents_true, r.element_1) AS "status",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(list_concat(r.consents_true, r.consents_false)) AS element_1
    FROM (
        SELECT
          *
        FROM rows
    ) AS r
) AS r
GROUP BY 1, 2;

