-- Records transactions $2 of community $1 at $3 as purchases, by the clock of time zone $4: created, changed or
-- deleted. Returns how many of them were recorded differently before. An earlier statement locked them and their
-- profiles.
WITH requested AS MATERIALIZED (
    SELECT ($2::bigint[])[k] AS id
    FROM generate_subscripts($2::bigint[], 1) AS k
),
stored AS MATERIALIZED (
    SELECT p.*
    FROM requested
    CROSS JOIN LATERAL (SELECT * FROM purchases WHERE community_id = $1 AND id = requested.id OFFSET 0) AS p
),
-- include: purchases_recomputed
changed AS MATERIALIZED (
    SELECT stored.id
    FROM stored
    LEFT JOIN recomputed ON recomputed.id = stored.id
    WHERE (
        recomputed.purchased_at, recomputed.is_counted, recomputed.sales, recomputed.amount, recomputed.member_id,
        recomputed.location, recomputed.channel,
        recomputed.brands, recomputed.brand_amounts
    ) IS DISTINCT FROM (
        stored.purchased_at, stored.is_counted, stored.sales, stored.amount, stored.member_id,
        stored.location, stored.channel,
        stored.brands, stored.brand_amounts
    )
),
superseded AS (
    INSERT INTO purchase_versions
    SELECT stored.*, pg_current_xact_id()
    FROM stored
    JOIN changed ON changed.id = stored.id
    -- Versions of this transaction itself were never visible to others.
    WHERE stored.is_counted AND stored.recorded_xid <> pg_current_xact_id()
    RETURNING 1
),
deleted AS (
    DELETE FROM purchases
    WHERE community_id = $1
      AND id = ANY (ARRAY(
          SELECT changed.id FROM changed WHERE changed.id NOT IN (SELECT recomputed.id FROM recomputed)
      ))
),
upserted AS (
    INSERT INTO purchases AS existing (
        community_id, id, recorded_xid, purchased_at, is_counted, sales, amount, member_id, location, channel, brands,
        brand_amounts, dimension_frequency, dimension_recency, dimension_join, gender, age
    )
    SELECT
        $1, id, CASE WHEN purchased_at <= $3 THEN pg_current_xact_id() END, purchased_at, is_counted, sales, amount,
        member_id, location, channel, brands, brand_amounts, dimension_frequency, dimension_recency, dimension_join,
        gender, age
    FROM recomputed
    WHERE id NOT IN (SELECT stored.id FROM stored) OR id IN (SELECT changed.id FROM changed)
    ORDER BY id
    ON CONFLICT (community_id, id) DO UPDATE
    SET recorded_xid = excluded.recorded_xid,
        purchased_at = excluded.purchased_at,
        is_counted = excluded.is_counted,
        sales = excluded.sales,
        amount = excluded.amount,
        member_id = excluded.member_id,
        location = excluded.location,
        channel = excluded.channel,
        brands = excluded.brands,
        brand_amounts = excluded.brand_amounts
)
SELECT count(*) FROM superseded
