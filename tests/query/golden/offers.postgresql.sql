-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- records: club, community, limit
SELECT
    r.id AS "id",
    CAST($1 AS INT) AS "loyalty_club_id",
    r.name AS "name",
    r.type AS "type",
    r.status AS "status",
    r.collection_ids AS "collection_ids",
    r.store_id AS "store_id",
    r.campaign_id AS "campaign_id",
    r.usable_since AS "usable_since",
    r.usable_until AS "usable_until",
    r.stock AS "stock",
    r.grants_count AS "grants_count",
    r.uses_count AS "uses_count",
    r.seen_count AS "seen_count",
    r.clicked_count AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
ORDER BY
    r.id NULLS FIRST
LIMIT CAST($3 AS BIGINT);

-- records behind a cursor: club, community, c1, limit
SELECT
    r.id AS "id",
    CAST($1 AS INT) AS "loyalty_club_id",
    r.name AS "name",
    r.type AS "type",
    r.status AS "status",
    r.collection_ids AS "collection_ids",
    r.store_id AS "store_id",
    r.campaign_id AS "campaign_id",
    r.usable_since AS "usable_since",
    r.usable_until AS "usable_until",
    r.stock AS "stock",
    r.grants_count AS "grants_count",
    r.uses_count AS "uses_count",
    r.seen_count AS "seen_count",
    r.clicked_count AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
WHERE r.id > CAST($3 AS BIGINT)
ORDER BY
    r.id NULLS FIRST
LIMIT CAST($4 AS BIGINT);

-- records behind a cursor of nulls: club, community, limit
SELECT
    r.id AS "id",
    CAST($1 AS INT) AS "loyalty_club_id",
    r.name AS "name",
    r.type AS "type",
    r.status AS "status",
    r.collection_ids AS "collection_ids",
    r.store_id AS "store_id",
    r.campaign_id AS "campaign_id",
    r.usable_since AS "usable_since",
    r.usable_until AS "usable_until",
    r.stock AS "stock",
    r.grants_count AS "grants_count",
    r.uses_count AS "uses_count",
    r.seen_count AS "seen_count",
    r.clicked_count AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
WHERE r.id IS NOT NULL
ORDER BY
    r.id NULLS FIRST
LIMIT CAST($3 AS BIGINT);

-- by_loyalty_club_id: club, community
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    count(*) AS "offers_count",
    sum(r.grants_count) AS "grants_count",
    sum(r.uses_count) AS "uses_count",
    sum(r.seen_count) AS "seen_count",
    sum(r.clicked_count) AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
HAVING count(*) > 0;

-- by_type: community
SELECT
    r.type AS "type",
    count(*) AS "offers_count",
    sum(r.grants_count) AS "grants_count",
    sum(r.uses_count) AS "uses_count",
    sum(r.seen_count) AS "seen_count",
    sum(r.clicked_count) AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($1 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_status: community
SELECT
    r.status AS "status",
    count(*) AS "offers_count",
    sum(r.grants_count) AS "grants_count",
    sum(r.uses_count) AS "uses_count",
    sum(r.seen_count) AS "seen_count",
    sum(r.clicked_count) AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($1 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_collection_ids: community
SELECT
    r.element_1 AS "collection_id",
    count(*) AS "offers_count",
    sum(r.grants_count) AS "grants_count",
    sum(r.uses_count) AS "uses_count",
    sum(r.seen_count) AS "seen_count",
    sum(r.clicked_count) AS "clicked_count"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.collection_ids) > 0 THEN r.collection_ids ELSE array_append(r.collection_ids, NULL) END) AS element_1
    FROM (
        SELECT
            id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
            granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
        FROM offers
        WHERE community_id = CAST($1 AS INT) AND is_known
    ) AS r
) AS r
GROUP BY 1;

-- by_store_id: community
SELECT
    r.store_id AS "store_id",
    count(*) AS "offers_count",
    sum(r.grants_count) AS "grants_count",
    sum(r.uses_count) AS "uses_count",
    sum(r.seen_count) AS "seen_count",
    sum(r.clicked_count) AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($1 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_campaign_id: community
SELECT
    r.campaign_id AS "campaign_id",
    count(*) AS "offers_count",
    sum(r.grants_count) AS "grants_count",
    sum(r.uses_count) AS "uses_count",
    sum(r.seen_count) AS "seen_count",
    sum(r.clicked_count) AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($1 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_community_id: community
SELECT
    CAST($1 AS INT) AS "community_id",
    count(*) AS "offers_count",
    sum(r.grants_count) AS "grants_count",
    sum(r.uses_count) AS "uses_count",
    sum(r.seen_count) AS "seen_count",
    sum(r.clicked_count) AS "clicked_count"
FROM (
    SELECT
        id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
        granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
    FROM offers
    WHERE community_id = CAST($1 AS INT) AND is_known
) AS r
HAVING count(*) > 0;
