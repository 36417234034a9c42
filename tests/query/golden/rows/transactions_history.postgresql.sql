-- Rows of transactions_history
-- Parameters: interval, starts, zone, community, ends, now
SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($2 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(p.purchased_at, CAST(CAST($2 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(p.purchased_at, CAST($1 AS TEXT), CAST($3 AS TEXT))
END AS bucket, p.location, p.channel, p.dimension_frequency, p.dimension_recency, p.dimension_join, p.gender, p.age, part.brand, p.sales, part.amount, bitmap_chunk(p.member_id) AS chunk,
       bitmap_bit(p.member_id) AS bitmap
FROM purchases AS p
CROSS JOIN LATERAL unnest(p.brands, p.brand_amounts) AS part (brand, amount)
WHERE p.community_id = CAST($4 AS INT) AND p.is_counted
  AND p.purchased_at >= (CAST(CAST($2 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($5 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ);

-- Rows of transactions_history
-- Parameters: interval, zone, starts, ends, community, now
WITH cover AS MATERIALIZED (
    SELECT bucket_start(whole.bucket, CAST($1 AS TEXT), CAST($2 AS TEXT)) AS label, granularity, whole.bucket, whole.ends
    FROM (SELECT CASE CAST($1 AS TEXT) WHEN '1mo' THEN '1mo' ELSE '1d' END AS granularity) AS granularities
    CROSS JOIN LATERAL complete_buckets(granularity, (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1], (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment), CAST($2 AS TEXT)) AS whole
    WHERE CAST($1 AS TEXT) NOT IN ('5m', '1h')
),
span AS MATERIALIZED (
    SELECT coalesce(min(bucket), 'infinity') AS since, coalesce(max(ends), 'infinity') AS until FROM cover
),
uncompacted AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM (
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
        UNION ALL
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid IS NULL
        -- Prevents the planner from merging the two index scans into a sequential scan.
        OFFSET 0
    ) AS p
    CROSS JOIN LATERAL (SELECT CAST(NULL AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
outside_cover AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT CAST(NULL AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at < (SELECT since FROM span)
    UNION ALL
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT CAST(NULL AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT until FROM span)
),
superseded AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchase_versions AS p
    CROSS JOIN LATERAL (SELECT CAST(NULL AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.recorded_xid < coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') AND p.superseded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
      AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
-- Bitmaps cannot be corrected, so buyers of buckets with superseded purchases are counted from purchases.
corrected_buckets AS MATERIALIZED (
    SELECT cover.*
    FROM cover
    WHERE EXISTS (SELECT FROM superseded WHERE purchased_at >= cover.bucket AND purchased_at < cover.ends)
),
totals AS (
    SELECT label, dimension_value, sum(sales) AS sales, sum(amount) AS amount
    FROM (
        SELECT cover.label, rollup.dimension_value, rollup.purchases, rollup.sales, rollup.amount
        FROM cover
        CROSS JOIN LATERAL (
            SELECT dimension_value, purchases, sales, amount
            FROM purchase_rollups
            WHERE community_id = CAST($5 AS INT) AND granularity = cover.granularity AND dimension = ''
              AND bucket = cover.bucket
            OFFSET 0
        ) AS rollup
        WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0'
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM uncompacted
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM outside_cover
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, -1, -sales, -amount FROM superseded
    ) AS changes
    GROUP BY label, dimension_value
    HAVING sum(purchases) <> 0
),
bitmaps AS (
    SELECT cover.label, rollup.dimension_value, rollup.chunk, rollup.bitmap
    FROM cover
    CROSS JOIN LATERAL (
        SELECT dimension_value, chunk, bitmap
        FROM member_bitmaps
        WHERE community_id = CAST($5 AS INT) AND metric_family = 'purchases'
          AND granularity = cover.granularity AND dimension = '' AND bucket = cover.bucket
        OFFSET 0
    ) AS rollup
    WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0' AND cover.bucket NOT IN (SELECT bucket FROM corrected_buckets)
    UNION ALL
    SELECT label, dimension_value, bitmap_chunk(member_id), bit_or(bitmap_bit(member_id))
    FROM (
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END AS label, dimension_value, member_id FROM uncompacted
        UNION
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, member_id FROM outside_cover
        UNION
        SELECT corrected_buckets.label, part.dimension_value, p.member_id
        FROM corrected_buckets
        JOIN purchases AS p ON p.purchased_at >= corrected_buckets.bucket AND p.purchased_at < corrected_buckets.ends
        CROSS JOIN LATERAL (SELECT CAST(NULL AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
        WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ)
    ) AS buyers
    WHERE member_id IS NOT NULL
    GROUP BY label, dimension_value, bitmap_chunk(member_id)
)
SELECT label AS bucket, sales, amount, CAST(NULL AS bigint) AS chunk, CAST(NULL AS bit(1024)) AS bitmap
FROM totals
UNION ALL
SELECT label, 0, 0, chunk, bitmap
FROM bitmaps;

-- Rows of transactions_history, added up by location
-- Parameters: interval, zone, starts, ends, community, now
WITH cover AS MATERIALIZED (
    SELECT bucket_start(whole.bucket, CAST($1 AS TEXT), CAST($2 AS TEXT)) AS label, granularity, whole.bucket, whole.ends
    FROM (SELECT CASE CAST($1 AS TEXT) WHEN '1mo' THEN '1mo' ELSE '1d' END AS granularity) AS granularities
    CROSS JOIN LATERAL complete_buckets(granularity, (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1], (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment), CAST($2 AS TEXT)) AS whole
    WHERE CAST($1 AS TEXT) NOT IN ('5m', '1h')
),
span AS MATERIALIZED (
    SELECT coalesce(min(bucket), 'infinity') AS since, coalesce(max(ends), 'infinity') AS until FROM cover
),
uncompacted AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM (
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
        UNION ALL
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid IS NULL
        -- Prevents the planner from merging the two index scans into a sequential scan.
        OFFSET 0
    ) AS p
    CROSS JOIN LATERAL (SELECT CAST(p.location AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
outside_cover AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT CAST(p.location AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at < (SELECT since FROM span)
    UNION ALL
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT CAST(p.location AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT until FROM span)
),
superseded AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchase_versions AS p
    CROSS JOIN LATERAL (SELECT CAST(p.location AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.recorded_xid < coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') AND p.superseded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
      AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
-- Bitmaps cannot be corrected, so buyers of buckets with superseded purchases are counted from purchases.
corrected_buckets AS MATERIALIZED (
    SELECT cover.*
    FROM cover
    WHERE EXISTS (SELECT FROM superseded WHERE purchased_at >= cover.bucket AND purchased_at < cover.ends)
),
totals AS (
    SELECT label, dimension_value, sum(sales) AS sales, sum(amount) AS amount
    FROM (
        SELECT cover.label, rollup.dimension_value, rollup.purchases, rollup.sales, rollup.amount
        FROM cover
        CROSS JOIN LATERAL (
            SELECT dimension_value, purchases, sales, amount
            FROM purchase_rollups
            WHERE community_id = CAST($5 AS INT) AND granularity = cover.granularity AND dimension = 'location'
              AND bucket = cover.bucket
            OFFSET 0
        ) AS rollup
        WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0'
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM uncompacted
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM outside_cover
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, -1, -sales, -amount FROM superseded
    ) AS changes
    GROUP BY label, dimension_value
    HAVING sum(purchases) <> 0
),
bitmaps AS (
    SELECT cover.label, rollup.dimension_value, rollup.chunk, rollup.bitmap
    FROM cover
    CROSS JOIN LATERAL (
        SELECT dimension_value, chunk, bitmap
        FROM member_bitmaps
        WHERE community_id = CAST($5 AS INT) AND metric_family = 'purchases'
          AND granularity = cover.granularity AND dimension = 'location' AND bucket = cover.bucket
        OFFSET 0
    ) AS rollup
    WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0' AND cover.bucket NOT IN (SELECT bucket FROM corrected_buckets)
    UNION ALL
    SELECT label, dimension_value, bitmap_chunk(member_id), bit_or(bitmap_bit(member_id))
    FROM (
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END AS label, dimension_value, member_id FROM uncompacted
        UNION
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, member_id FROM outside_cover
        UNION
        SELECT corrected_buckets.label, part.dimension_value, p.member_id
        FROM corrected_buckets
        JOIN purchases AS p ON p.purchased_at >= corrected_buckets.bucket AND p.purchased_at < corrected_buckets.ends
        CROSS JOIN LATERAL (SELECT CAST(p.location AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
        WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ)
    ) AS buyers
    WHERE member_id IS NOT NULL
    GROUP BY label, dimension_value, bitmap_chunk(member_id)
)
SELECT label AS bucket, CAST(dimension_value AS bigint) AS location, sales, amount, CAST(NULL AS bigint) AS chunk, CAST(NULL AS bit(1024)) AS bitmap
FROM totals
UNION ALL
SELECT label, CAST(dimension_value AS bigint) AS location, 0, 0, chunk, bitmap
FROM bitmaps;

-- Rows of transactions_history, added up by channel
-- Parameters: interval, zone, starts, ends, community, now
WITH cover AS MATERIALIZED (
    SELECT bucket_start(whole.bucket, CAST($1 AS TEXT), CAST($2 AS TEXT)) AS label, granularity, whole.bucket, whole.ends
    FROM (SELECT CASE CAST($1 AS TEXT) WHEN '1mo' THEN '1mo' ELSE '1d' END AS granularity) AS granularities
    CROSS JOIN LATERAL complete_buckets(granularity, (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1], (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment), CAST($2 AS TEXT)) AS whole
    WHERE CAST($1 AS TEXT) NOT IN ('5m', '1h')
),
span AS MATERIALIZED (
    SELECT coalesce(min(bucket), 'infinity') AS since, coalesce(max(ends), 'infinity') AS until FROM cover
),
uncompacted AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM (
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
        UNION ALL
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid IS NULL
        -- Prevents the planner from merging the two index scans into a sequential scan.
        OFFSET 0
    ) AS p
    CROSS JOIN LATERAL (SELECT CAST(p.channel AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
outside_cover AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT CAST(p.channel AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at < (SELECT since FROM span)
    UNION ALL
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT CAST(p.channel AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT until FROM span)
),
superseded AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchase_versions AS p
    CROSS JOIN LATERAL (SELECT CAST(p.channel AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.recorded_xid < coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') AND p.superseded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
      AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
-- Bitmaps cannot be corrected, so buyers of buckets with superseded purchases are counted from purchases.
corrected_buckets AS MATERIALIZED (
    SELECT cover.*
    FROM cover
    WHERE EXISTS (SELECT FROM superseded WHERE purchased_at >= cover.bucket AND purchased_at < cover.ends)
),
totals AS (
    SELECT label, dimension_value, sum(sales) AS sales, sum(amount) AS amount
    FROM (
        SELECT cover.label, rollup.dimension_value, rollup.purchases, rollup.sales, rollup.amount
        FROM cover
        CROSS JOIN LATERAL (
            SELECT dimension_value, purchases, sales, amount
            FROM purchase_rollups
            WHERE community_id = CAST($5 AS INT) AND granularity = cover.granularity AND dimension = 'channel'
              AND bucket = cover.bucket
            OFFSET 0
        ) AS rollup
        WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0'
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM uncompacted
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM outside_cover
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, -1, -sales, -amount FROM superseded
    ) AS changes
    GROUP BY label, dimension_value
    HAVING sum(purchases) <> 0
),
bitmaps AS (
    SELECT cover.label, rollup.dimension_value, rollup.chunk, rollup.bitmap
    FROM cover
    CROSS JOIN LATERAL (
        SELECT dimension_value, chunk, bitmap
        FROM member_bitmaps
        WHERE community_id = CAST($5 AS INT) AND metric_family = 'purchases'
          AND granularity = cover.granularity AND dimension = 'channel' AND bucket = cover.bucket
        OFFSET 0
    ) AS rollup
    WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0' AND cover.bucket NOT IN (SELECT bucket FROM corrected_buckets)
    UNION ALL
    SELECT label, dimension_value, bitmap_chunk(member_id), bit_or(bitmap_bit(member_id))
    FROM (
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END AS label, dimension_value, member_id FROM uncompacted
        UNION
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, member_id FROM outside_cover
        UNION
        SELECT corrected_buckets.label, part.dimension_value, p.member_id
        FROM corrected_buckets
        JOIN purchases AS p ON p.purchased_at >= corrected_buckets.bucket AND p.purchased_at < corrected_buckets.ends
        CROSS JOIN LATERAL (SELECT CAST(p.channel AS text), CAST(p.amount AS numeric)) AS part (dimension_value, amount)
        WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ)
    ) AS buyers
    WHERE member_id IS NOT NULL
    GROUP BY label, dimension_value, bitmap_chunk(member_id)
)
SELECT label AS bucket, CAST(dimension_value AS text) AS channel, sales, amount, CAST(NULL AS bigint) AS chunk, CAST(NULL AS bit(1024)) AS bitmap
FROM totals
UNION ALL
SELECT label, CAST(dimension_value AS text) AS channel, 0, 0, chunk, bitmap
FROM bitmaps;

-- Rows of transactions_history, added up by brand
-- Parameters: interval, zone, starts, ends, community, now
WITH cover AS MATERIALIZED (
    SELECT bucket_start(whole.bucket, CAST($1 AS TEXT), CAST($2 AS TEXT)) AS label, granularity, whole.bucket, whole.ends
    FROM (SELECT CASE CAST($1 AS TEXT) WHEN '1mo' THEN '1mo' ELSE '1d' END AS granularity) AS granularities
    CROSS JOIN LATERAL complete_buckets(granularity, (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1], (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment), CAST($2 AS TEXT)) AS whole
    WHERE CAST($1 AS TEXT) NOT IN ('5m', '1h')
),
span AS MATERIALIZED (
    SELECT coalesce(min(bucket), 'infinity') AS since, coalesce(max(ends), 'infinity') AS until FROM cover
),
uncompacted AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM (
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
        UNION ALL
        SELECT * FROM purchases WHERE community_id = CAST($5 AS INT) AND recorded_xid IS NULL
        -- Prevents the planner from merging the two index scans into a sequential scan.
        OFFSET 0
    ) AS p
    CROSS JOIN LATERAL (SELECT brand, amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, amount)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
outside_cover AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT brand, amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, amount)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at < (SELECT since FROM span)
    UNION ALL
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchases AS p
    CROSS JOIN LATERAL (SELECT brand, amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, amount)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.purchased_at >= (SELECT until FROM span)
),
superseded AS MATERIALIZED (
    SELECT p.purchased_at, p.sales, p.member_id, part.dimension_value, part.amount
    FROM purchase_versions AS p
    CROSS JOIN LATERAL (SELECT brand, amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, amount)) AS part (dimension_value, amount)
    WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ) AND p.recorded_xid < coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') AND p.superseded_xid >= coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0')
      AND p.purchased_at >= (SELECT since FROM span) AND p.purchased_at < (SELECT until FROM span)
),
-- Bitmaps cannot be corrected, so buyers of buckets with superseded purchases are counted from purchases.
corrected_buckets AS MATERIALIZED (
    SELECT cover.*
    FROM cover
    WHERE EXISTS (SELECT FROM superseded WHERE purchased_at >= cover.bucket AND purchased_at < cover.ends)
),
totals AS (
    SELECT label, dimension_value, sum(sales) AS sales, sum(amount) AS amount
    FROM (
        SELECT cover.label, rollup.dimension_value, rollup.purchases, rollup.sales, rollup.amount
        FROM cover
        CROSS JOIN LATERAL (
            SELECT dimension_value, purchases, sales, amount
            FROM purchase_rollups
            WHERE community_id = CAST($5 AS INT) AND granularity = cover.granularity AND dimension = 'brand'
              AND bucket = cover.bucket
            OFFSET 0
        ) AS rollup
        WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0'
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM uncompacted
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, 1, sales, amount FROM outside_cover
        UNION ALL
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, -1, -sales, -amount FROM superseded
    ) AS changes
    GROUP BY label, dimension_value
    HAVING sum(purchases) <> 0
),
bitmaps AS (
    SELECT cover.label, rollup.dimension_value, rollup.chunk, rollup.bitmap
    FROM cover
    CROSS JOIN LATERAL (
        SELECT dimension_value, chunk, bitmap
        FROM member_bitmaps
        WHERE community_id = CAST($5 AS INT) AND metric_family = 'purchases'
          AND granularity = cover.granularity AND dimension = 'brand' AND bucket = cover.bucket
        OFFSET 0
    ) AS rollup
    WHERE coalesce((
        SELECT watermark FROM purchase_compaction_state WHERE community_id = CAST($5 AS INT) AND timezone = CAST($2 AS TEXT)
    ), '0') > '0' AND cover.bucket NOT IN (SELECT bucket FROM corrected_buckets)
    UNION ALL
    SELECT label, dimension_value, bitmap_chunk(member_id), bit_or(bitmap_bit(member_id))
    FROM (
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END AS label, dimension_value, member_id FROM uncompacted
        UNION
        SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(purchased_at, CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(purchased_at, CAST($1 AS TEXT), CAST($2 AS TEXT))
END, dimension_value, member_id FROM outside_cover
        UNION
        SELECT corrected_buckets.label, part.dimension_value, p.member_id
        FROM corrected_buckets
        JOIN purchases AS p ON p.purchased_at >= corrected_buckets.bucket AND p.purchased_at < corrected_buckets.ends
        CROSS JOIN LATERAL (SELECT brand, amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, amount)) AS part (dimension_value, amount)
        WHERE p.community_id = CAST($5 AS INT) AND p.is_counted
      AND p.purchased_at >= (CAST(CAST($3 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($4 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ)
    ) AS buyers
    WHERE member_id IS NOT NULL
    GROUP BY label, dimension_value, bitmap_chunk(member_id)
)
SELECT label AS bucket, CAST(dimension_value AS text) AS brand, sales, amount, CAST(NULL AS bigint) AS chunk, CAST(NULL AS bit(1024)) AS bitmap
FROM totals
UNION ALL
SELECT label, CAST(dimension_value AS text) AS brand, 0, 0, chunk, bitmap
FROM bitmaps;

-- Rows of transactions_history, added up by location, channel, dimension_frequency, dimension_recency, dimension_join, gender, age
-- Parameters: interval, starts, zone, community, ends, now
SELECT CASE
    WHEN CAST($1 AS TEXT) IN ('5m', '1h') THEN (CAST(CAST($2 AS TIMESTAMPTZ[]) AS timestamptz[]))[width_bucket(p.purchased_at, CAST(CAST($2 AS TIMESTAMPTZ[]) AS timestamptz[]))]
    ELSE bucket_start(p.purchased_at, CAST($1 AS TEXT), CAST($3 AS TEXT))
END AS bucket, p.location, p.channel, p.dimension_frequency, p.dimension_recency, p.dimension_join, p.gender, p.age, p.sales, part.amount, bitmap_chunk(p.member_id) AS chunk,
       bitmap_bit(p.member_id) AS bitmap
FROM purchases AS p
CROSS JOIN LATERAL (SELECT p.amount) AS part (amount)
WHERE p.community_id = CAST($4 AS INT) AND p.is_counted
  AND p.purchased_at >= (CAST(CAST($2 AS TIMESTAMPTZ[]) AS timestamptz[]))[1] AND p.purchased_at < (SELECT max(moment) FROM unnest(CAST(CAST($5 AS TIMESTAMPTZ[]) AS timestamptz[])) AS moment) AND p.purchased_at <= CAST($6 AS TIMESTAMPTZ);

