-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, from, to
SELECT
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (3, 4) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY r.profile_id
) AS s ("granted", "used", "unique_granted", "unique_used")
HAVING count(*) > 0;

-- community_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        CAST($1 AS INT) AS "community_id",
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (3, 4) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY r.profile_id
) AS s (label_1, "granted", "used", "unique_granted", "unique_used")
GROUP BY 1;

-- loyalty_club_id: club, community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        CAST($1 AS INT) AS "loyalty_club_id",
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($2 AS INT) AND offer_id = o.id
              AND event IN (3, 4) AND at >= CAST($3 AS TIMESTAMPTZ) AND at < CAST($4 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($2 AS INT) AND o.is_known AND o.first_at < CAST($4 AS TIMESTAMPTZ) AND o.last_at >= CAST($3 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY r.profile_id
) AS s (label_1, "granted", "used", "unique_granted", "unique_used")
GROUP BY 1;

-- offer_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        r.offer_id AS "offer_id",
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (3, 4) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "granted", "used", "unique_granted", "unique_used")
GROUP BY 1;

-- collection_ids: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        r.element_1 AS "collection_id",
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
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
                  AND event IN (3, 4) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
                OFFSET 0
            ) AS e
            WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
        ) AS r
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "granted", "used", "unique_granted", "unique_used")
GROUP BY 1;

-- store_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        r.store_id AS "store_id",
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (3, 4) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "granted", "used", "unique_granted", "unique_used")
GROUP BY 1;

-- campaign_id: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        r.campaign_id AS "campaign_id",
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (3, 4) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "granted", "used", "unique_granted", "unique_used")
GROUP BY 1;

-- type: community, from, to
SELECT
    s.label_1,
    CAST(coalesce(sum(s."granted"), 0) AS bigint) AS "granted",
    CAST(coalesce(sum(s."used"), 0) AS bigint) AS "used",
    CAST(coalesce(sum(bit_count(s."unique_granted")), 0) AS bigint) AS "unique_granted",
    CAST(coalesce(sum(bit_count(s."unique_used")), 0) AS bigint) AS "unique_used"
FROM (
    SELECT
        r.type AS "type",
        count(*) FILTER (WHERE r.event = 3) AS "granted",
        count(*) FILTER (WHERE r.event = 4) AS "used",
        bit_or(CASE WHEN r.event = 3 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_granted",
        bit_or(CASE WHEN r.event = 4 AND r.profile_id IS NOT NULL THEN B'1' ELSE B'0' END) AS "unique_used"
    FROM (
        SELECT
            o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, e.event, e.profile_id,
            CASE WHEN e.location_id IS NULL THEN o.location_id ELSE e.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT event, profile_id, location_id
            FROM offer_events
            WHERE community_id = CAST($1 AS INT) AND offer_id = o.id
              AND event IN (3, 4) AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
            OFFSET 0
        ) AS e
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known AND o.first_at < CAST($3 AS TIMESTAMPTZ) AND o.last_at >= CAST($2 AS TIMESTAMPTZ)
    ) AS r
    GROUP BY 1, r.profile_id
) AS s (label_1, "granted", "used", "unique_granted", "unique_used")
GROUP BY 1;
