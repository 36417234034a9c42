-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, from, to
SELECT
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (1, 2) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY r.profile_id
) AS s ("seen", "clicked", "unique_seen", "unique_clicked")
HAVING count(*) > 0;

-- community_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        CAST($1 AS INT) AS "community_id",
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (1, 2) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

-- loyalty_club_id: club, community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        CAST($1 AS INT) AS "loyalty_club_id",
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($2 AS INT) AND offer_id = o.id
              AND event IN (1, 2) AND at >= CAST($3 AS TIMESTAMPTZ) AND at < CAST($4 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($2 AS INT) AND o.is_known AND o.first_at < CAST($4 AS TIMESTAMPTZ) AND o.last_at >= CAST($3 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

-- offer_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        r.offer_id AS "offer_id",
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (1, 2) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

-- collection_ids: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        r.element_1 AS "collection_id",
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT r.*, unnest(CASE WHEN cardinality(r.collection_ids) > 0 THEN r.collection_ids ELSE array_append(r.collection_ids, NULL) END) AS element_1
        FROM (
            SELECT
                o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
                CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
            FROM offers AS o
            CROSS JOIN LATERAL (
                SELECT event, profile_id, location_id
                FROM offer_events
                WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
                  AND event IN (1, 2) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
                OFFSET 0
            ) AS e
            WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
        ) AS r
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

-- store_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        r.store_id AS "store_id",
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (1, 2) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

-- campaign_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        r.campaign_id AS "campaign_id",
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (1, 2) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;

-- type: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."seen"), 0) AS bigint) AS "seen",
    CAST(coalesce(sum(s."clicked"), 0) AS bigint) AS "clicked",
    CAST(coalesce(sum(bit_count(s."unique_seen")), 0) AS bigint) AS "unique_seen",
    CAST(coalesce(sum(bit_count(s."unique_clicked")), 0) AS bigint) AS "unique_clicked"
FROM (
    SELECT
        r.type AS "type",
        count(*) FILTER (WHERE r.event = 1) AS "seen",
        count(*) FILTER (WHERE r.event = 2) AS "clicked",
        bit_or(CASE WHEN r.event = 1 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_seen",
        bit_or(CASE WHEN r.event = 2 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_clicked"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (1, 2) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "seen", "clicked", "unique_seen", "unique_clicked")
GROUP BY 1;
