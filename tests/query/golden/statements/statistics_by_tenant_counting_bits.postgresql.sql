-- statistics by tenant counting bits, as in offers_events_stats
-- Parameters: community
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        CAST($1 AS INT) AS "community_id",
        count(*) FILTER (WHERE r.event_type = 1) AS "seen",
        count(*) FILTER (WHERE r.event_type = 2) AS "clicked",
        bit_or(CASE WHEN r.event_type = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event_type = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        TABLE rows
    ) AS r
    GROUP BY r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

