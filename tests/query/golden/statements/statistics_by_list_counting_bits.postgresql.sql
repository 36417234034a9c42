-- statistics by list counting bits, as in offers_events_stats
-- Parameters: none
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        r.element_1 AS "collection_id",
        count(*) FILTER (WHERE r.event_type = 1) AS "seen",
        count(*) FILTER (WHERE r.event_type = 2) AS "clicked",
        bit_or(CASE WHEN r.event_type = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event_type = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT r.*, unnest(CASE WHEN cardinality(r.collection_ids) > 0 THEN r.collection_ids ELSE array_append(r.collection_ids, NULL) END) AS element_1
        FROM (
            TABLE rows
        ) AS r
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

