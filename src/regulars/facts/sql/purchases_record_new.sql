-- Records transactions $2 of community $1, which this database transaction has inserted, at $3 as purchases, by the clock
-- of time zone $4. An earlier statement locked their profiles.
WITH requested AS MATERIALIZED (
    SELECT ($2::bigint[])[k] AS id
    FROM generate_subscripts($2::bigint[], 1) AS k
),
stored AS (
    -- Nothing was recorded of them before.
    SELECT * FROM purchases WHERE FALSE
),
-- include: purchases_recomputed
INSERT INTO purchases (
    community_id, id, recorded_xid, purchased_at, is_counted, sales, amount, member_id, location, channel, brands,
    brand_amounts, dimension_frequency, dimension_recency, dimension_join, gender, age
)
SELECT
    $1, id, CASE WHEN purchased_at <= $3 THEN pg_current_xact_id() END, purchased_at, is_counted, sales, amount,
    member_id, location, channel, brands, brand_amounts, dimension_frequency, dimension_recency, dimension_join,
    gender, age
FROM recomputed
ORDER BY id
