-- Purchases of community $1 as reports count them against the transactions that they are of, and what is added up of
-- them, by day and month, against themselves as they were told below the watermark.
WITH mark AS (
    SELECT watermark, timezone FROM purchase_marks WHERE community_id = $1
),
before AS (
    SELECT at, sales, amount, member_id, location, channel, dimension_frequency, dimension_recency, dimension_join,
           gender, age, brands, brand_amounts
    FROM purchases, mark
    WHERE community_id = $1 AND counted AND since < watermark
    UNION ALL
    SELECT at, sales, amount, member_id, location, channel, dimension_frequency, dimension_recency, dimension_join,
           gender, age, brands, brand_amounts
    FROM purchase_changes, mark
    WHERE community_id = $1 AND counted AND since < watermark AND until >= watermark
),
parts AS (
    SELECT steps.step, bucket_start(p.at, steps.step, mark.timezone) AS bucket, part.grain, part.value, p.sales,
           part.amount, p.member_id
    FROM before AS p
    CROSS JOIN mark
    CROSS JOIN (VALUES ('1d'), ('1mo')) AS steps (step)
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
    ) AS part (grain, value, amount)
),
bought AS (
    SELECT step, grain, bucket, value, ROW(count(*), sum(sales), trim_scale(sum(amount)))::text AS numbers
    FROM parts
    GROUP BY step, grain, bucket, value
),
rolled AS (
    SELECT step, grain, bucket, value, ROW(purchases, sales, trim_scale(amount))::text AS numbers
    FROM purchase_rollups
    WHERE community_id = $1 AND EXISTS (SELECT FROM mark)
),
buyers AS (
    SELECT step, grain, bucket, value, array_agg(DISTINCT member_id ORDER BY member_id)::text AS members
    FROM parts
    WHERE member_id IS NOT NULL
    GROUP BY step, grain, bucket, value
),
counted AS (
    SELECT step, grain, bucket, value, array_agg(1024 * chunk + bit ORDER BY chunk, bit)::text AS members
    FROM unique_sets
    CROSS JOIN generate_series(0, 1023) AS bit
    WHERE community_id = $1 AND family = 'purchases' AND get_bit(members, bit) = 1
    GROUP BY step, grain, bucket, value
),
facts AS (
    SELECT t.id,
           ROW(
               t.transacted_at, NOT t.is_void, (t.direction = 1)::int, t.amount, t.location_id, p.member_id
           )::text AS told
    FROM transactions AS t
    LEFT JOIN profiles AS p ON p.community_id = $1 AND p.profile_id = t.profile_id
    WHERE t.community_id = $1
),
told AS (
    SELECT 'transaction ' || coalesce(facts.id, kept.id) AS key, 'purchase' AS name, kept.told AS kept,
           facts.told AS recomputed
    FROM facts
    FULL JOIN (
        SELECT id, ROW(at, counted, sales, amount, location, member_id)::text AS told
        FROM purchases
        WHERE community_id = $1
    ) AS kept USING (id)
    UNION ALL
    SELECT concat_ws(' ', step, bucket, grain, value), 'purchases', max(kept), max(recomputed)
    FROM (
        SELECT step, grain, bucket, value, numbers AS kept, NULL AS recomputed FROM rolled
        UNION ALL
        SELECT step, grain, bucket, value, NULL, numbers FROM bought
    ) AS both_ways
    GROUP BY step, grain, bucket, value
    UNION ALL
    SELECT concat_ws(' ', step, bucket, grain, value), 'buyers', max(kept), max(recomputed)
    FROM (
        SELECT step, grain, bucket, value, members AS kept, NULL AS recomputed FROM counted
        UNION ALL
        SELECT step, grain, bucket, value, NULL, members FROM buyers
    ) AS both_ways
    GROUP BY step, grain, bucket, value
)
SELECT key, name, kept, recomputed
FROM told
WHERE kept IS DISTINCT FROM recomputed
ORDER BY key, name
