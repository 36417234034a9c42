-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($1 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2;

-- community_id: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    r.event AS "event",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($1 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 3;

-- loyalty_club_id: club, community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "loyalty_club_id",
    r.event AS "event",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($2 AS INT) AND k.step = CAST($3 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($2 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($5 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 3;

-- offer_id: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.offer_id AS "offer_id",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($1 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, 3;

-- collection_ids: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.element_2 AS "collection_id",
    sum(r.n) AS "usages_count"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.collection_ids) > 0 THEN r.collection_ids ELSE array_append(r.collection_ids, NULL) END) AS element_2
    FROM (
        SELECT
            k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
            CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
        FROM offers AS o
        CROSS JOIN LATERAL (
            SELECT k.bucket, k.event, k.location_id, k.n
            FROM offer_rollups AS k
            WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
              AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
          AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
          AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
          AND k.n <> 0
            OFFSET 0
        ) AS k
        WHERE o.community_id = CAST($1 AS INT) AND o.is_known
          AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
          AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
    ) AS r
) AS r
GROUP BY 1, 2, 3;

-- store_id: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.store_id AS "store_id",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($1 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, 3;

-- campaign_id: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.campaign_id AS "campaign_id",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($1 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, 3;

-- type: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.type AS "type",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($1 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2, 3;

-- event: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    sum(r.n) AS "usages_count"
FROM (
    SELECT
        k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event, k.n,
        CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
    FROM offers AS o
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.event, k.location_id, k.n
        FROM offer_rollups AS k
        WHERE k.offer_id = o.id AND k.event IN ('granted', 'used')
          AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
        OFFSET 0
    ) AS k
    WHERE o.community_id = CAST($1 AS INT) AND o.is_known
      AND o.first_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
      AND o.last_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
) AS r
GROUP BY 1, 2;
