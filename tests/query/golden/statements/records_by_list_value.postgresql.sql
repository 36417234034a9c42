-- records by list value, as in samples
-- Parameters: none
SELECT
    r.size AS "size",
    r.element_2 AS "mark",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.marks) > 0 THEN r.marks ELSE array_append(r.marks, NULL) END) AS element_2
    FROM (
        TABLE rows
    ) AS r
) AS r
GROUP BY 1, 2;

