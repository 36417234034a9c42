-- timeseries by list value, as in offers_events_history
-- Parameters: none
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.element_2 AS "collection_id",
    sum(r.count) AS "events_count"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.collection_ids) > 0 THEN r.collection_ids ELSE array_append(r.collection_ids, NULL) END) AS element_2
    FROM (
        TABLE rows
    ) AS r
) AS r
GROUP BY 1, 2, 3;

