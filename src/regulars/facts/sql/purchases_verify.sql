-- What is stored of the purchases of community $1 and differs from their transactions, and what is aggregated of them
-- by day and month and differs from the purchases recorded below the watermark. Brands, types of locations and dimensions
-- of the buyer are those of an earlier commit and not compared; what the brands add up to is.
WITH state AS (
    SELECT watermark, timezone FROM purchase_compaction_state WHERE community_id = $1
),
compacted_purchases AS (
    SELECT purchased_at, sales, amount, member_id, location, channel, dimension_frequency, dimension_recency,
           dimension_join, gender, age, brands, brand_amounts
    FROM purchases, state
    WHERE community_id = $1 AND is_counted AND recorded_xid < watermark
    UNION ALL
    SELECT purchased_at, sales, amount, member_id, location, channel, dimension_frequency, dimension_recency,
           dimension_join, gender, age, brands, brand_amounts
    FROM purchase_versions, state
    WHERE community_id = $1 AND is_counted AND recorded_xid < watermark AND superseded_xid >= watermark
),
-- The bucket of a purchase is computed before the purchase is divided into its parts.
bucketed_purchases AS MATERIALIZED (
    SELECT granularity, bucket_start(p.purchased_at, granularity, state.timezone) AS bucket, p.*
    FROM compacted_purchases AS p
    CROSS JOIN state
    CROSS JOIN (VALUES ('1d'), ('1mo')) AS granularities (granularity)
),
parts AS (
    SELECT p.granularity, p.bucket, part.dimension, part.dimension_value, p.sales, part.amount, p.member_id
    FROM bucketed_purchases AS p
    CROSS JOIN LATERAL (
        VALUES
            ('', NULL, p.amount::numeric),
            ('location', p.location::text, p.amount),
            ('channel', p.channel, p.amount),
            ('dimension_frequency', p.dimension_frequency, p.amount),
            ('dimension_recency', p.dimension_recency, p.amount),
            ('dimension_join', p.dimension_join, p.amount),
            ('gender', p.gender, p.amount),
            ('age', p.age, p.amount)
        UNION ALL
        SELECT 'brand', brand, brand_amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, brand_amount)
    ) AS part (dimension, dimension_value, amount)
),
recomputed_chunks AS MATERIALIZED (
    SELECT granularity, dimension, bucket, dimension_value, bitmap_chunk(member_id) AS chunk, count(*) AS purchases,
        sum(sales) AS sales, sum(amount) AS amount, bit_or(bitmap_bit(member_id)) AS bitmap
    FROM parts
    GROUP BY granularity, dimension, bucket, dimension_value, bitmap_chunk(member_id)
),
recomputed_rollups AS (
    SELECT granularity, dimension, bucket, dimension_value,
        ROW(sum(purchases), sum(sales), trim_scale(sum(amount)))::text AS numbers
    FROM recomputed_chunks
    GROUP BY granularity, dimension, bucket, dimension_value
),
stored_rollups AS (
    SELECT granularity, dimension, bucket, dimension_value, ROW(purchases, sales, trim_scale(amount))::text AS numbers
    FROM purchase_rollups
    WHERE community_id = $1 AND EXISTS (SELECT FROM state)
),
differing_buyers AS MATERIALIZED (
    SELECT granularity, dimension, bucket, dimension_value, chunk,
        coalesce(bit_or(bitmap) FILTER (WHERE is_stored), CAST(0 AS bit(1024))) AS stored,
        coalesce(bit_or(bitmap) FILTER (WHERE NOT is_stored), CAST(0 AS bit(1024))) AS recomputed
    FROM (
        SELECT granularity, dimension, bucket, dimension_value, chunk, bitmap, true AS is_stored
        FROM member_bitmaps
        WHERE community_id = $1 AND metric_family = 'purchases'
        UNION ALL
        SELECT granularity, dimension, bucket, dimension_value, chunk, bitmap, false
        FROM recomputed_chunks
        WHERE chunk IS NOT NULL
    ) AS both_ways
    GROUP BY granularity, dimension, bucket, dimension_value, chunk
    HAVING coalesce(bit_or(bitmap) FILTER (WHERE is_stored), CAST(0 AS bit(1024)))
        <> coalesce(bit_or(bitmap) FILTER (WHERE NOT is_stored), CAST(0 AS bit(1024)))
),
transaction_facts AS (
    SELECT t.id,
           ROW(
               t.transacted_at, NOT t.is_void, (t.direction = 1)::int, t.amount, t.location_id, p.member_id
           )::text AS compared
    FROM transactions AS t
    LEFT JOIN profiles AS p ON p.community_id = $1 AND p.profile_id = t.profile_id
    WHERE t.community_id = $1
),
brand_totals AS (
    SELECT
        p.id, cardinality(p.brands) AS brands, cardinality(p.brand_amounts) AS amounts,
        coalesce((SELECT sum(amount) FROM unnest(p.brand_amounts) AS amount), 0) AS stored,
        coalesce(lines.total, 0) * CASE WHEN coalesce(t.currency, club.currency) = club.currency THEN 1 ELSE t.currency_rate END
            * 10::numeric ^ club.minor_digits AS recomputed
    FROM purchases AS p
    JOIN transactions AS t ON t.community_id = $1 AND t.id = p.id
    JOIN communities AS club ON club.id = $1
    LEFT JOIN (
        SELECT transaction_id, sum(coalesce(price_sell, 0) * quantity) AS total
        FROM transaction_items
        WHERE community_id = $1 AND NOT is_void
        GROUP BY transaction_id
    ) AS lines ON lines.transaction_id = p.id
    WHERE p.community_id = $1
),
compared AS (
    SELECT 'transaction ' || id AS key, 'brands and their amounts' AS name, brands || ', ' || trim_scale(stored) AS stored,
        amounts || ', ' || trim_scale(recomputed) AS recomputed
    FROM brand_totals
    -- The amount of each brand is rounded.
    WHERE brands <> amounts OR abs(stored - recomputed) > brands / 2.0
    UNION ALL
    SELECT 'transaction ' || p.id, 'channel of the purchase', p.channel, channel_code(t.channels)
    FROM purchases AS p
    JOIN transactions AS t ON t.community_id = $1 AND t.id = p.id
    -- Without channels of its own a transaction has that of its location.
    WHERE p.community_id = $1 AND t.channels IS NOT NULL
    UNION ALL
    SELECT 'transaction ' || coalesce(transaction_facts.id, stored.id) AS key, 'purchase' AS name,
        stored.compared AS stored,
           transaction_facts.compared AS recomputed
    FROM transaction_facts
    FULL JOIN (
        SELECT id, ROW(purchased_at, is_counted, sales, amount, location, member_id)::text AS compared
        FROM purchases
        WHERE community_id = $1
    ) AS stored USING (id)
    UNION ALL
    SELECT concat_ws(' ', granularity, bucket, dimension, dimension_value), 'purchases', max(stored), max(recomputed)
    FROM (
        SELECT granularity, dimension, bucket, dimension_value, numbers AS stored, NULL AS recomputed
        FROM stored_rollups
        UNION ALL
        SELECT granularity, dimension, bucket, dimension_value, NULL, numbers FROM recomputed_rollups
    ) AS both_ways
    GROUP BY granularity, dimension, bucket, dimension_value
    UNION ALL
    SELECT concat_ws(' ', granularity, bucket, dimension, dimension_value), 'buyers',
        (array_agg(1024 * chunk + bit ORDER BY bit) FILTER (WHERE get_bit(stored, bit) = 1))::text,
        (array_agg(1024 * chunk + bit ORDER BY bit) FILTER (WHERE get_bit(recomputed, bit) = 1))::text
    FROM differing_buyers
    CROSS JOIN generate_series(0, 1023) AS bit
    GROUP BY granularity, dimension, bucket, dimension_value, chunk
)
SELECT key, name, stored, recomputed
FROM compared
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
