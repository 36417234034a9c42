-- Tells transactions $2 of community $1 anew at $3, by the clock of zone $4, as reports count them; gives how many of
-- them had been told otherwise. An earlier statement holds their locks and those of their profiles.
WITH wanted AS MATERIALIZED (
    SELECT ($2::bigint[])[k] AS id
    FROM generate_subscripts($2::bigint[], 1) AS k
),
kept AS MATERIALIZED (
    SELECT p.*
    FROM wanted
    CROSS JOIN LATERAL (SELECT * FROM purchases WHERE community_id = $1 AND id = wanted.id OFFSET 0) AS p
),
fresh AS MATERIALIZED (
    SELECT
        t.id,
        t.transacted_at AS at,
        NOT t.is_void AS counted,
        CASE t.direction WHEN 1 THEN 1 ELSE 0 END AS sales,
        t.amount,
        buyer.member_id,
        t.location_id AS location,
        CASE coalesce(t.channels, CASE WHEN place.type = 'online' THEN 2 WHEN place.type <> '' THEN 1 END)
            WHEN 1 THEN 'CF'
            WHEN 2 THEN 'CO'
            WHEN 3 THEN 'CM'
        END AS channel,
        bought.brands,
        bought.brand_amounts,
        CASE WHEN kept.id IS NULL THEN known.dimension_frequency ELSE kept.dimension_frequency END
            AS dimension_frequency,
        CASE WHEN kept.id IS NULL THEN known.dimension_recency ELSE kept.dimension_recency END AS dimension_recency,
        CASE WHEN kept.id IS NULL THEN known.dimension_join ELSE kept.dimension_join END AS dimension_join,
        CASE WHEN kept.id IS NULL THEN buyer.gender ELSE kept.gender END AS gender,
        CASE
            WHEN kept.id IS NULL
            THEN age_group(
                10000 * buyer.birth_year + 100 * coalesce(buyer.birth_month, 1) + coalesce(buyer.birth_day, 1),
                day_number($3, $4)
            )
            ELSE kept.age
        END AS age
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT id, profile_id, transacted_at, is_void, direction, amount, location_id, channels, currency, currency_rate
        FROM transactions
        WHERE community_id = $1 AND id = wanted.id
        OFFSET 0
    ) AS t
    LEFT JOIN kept ON kept.id = t.id
    LEFT JOIN LATERAL (
        SELECT type FROM locations WHERE community_id = $1 AND id = t.location_id OFFSET 0
    ) AS place ON TRUE
    LEFT JOIN LATERAL (
        SELECT member_id, gender, birth_year, birth_month, birth_day
        FROM profiles
        WHERE community_id = $1 AND profile_id = t.profile_id
        OFFSET 0
    ) AS buyer ON TRUE
    LEFT JOIN LATERAL (
        SELECT dimension_frequency, dimension_recency, dimension_join
        FROM profile_aggregations
        -- What a load has marked is not known at its commits.
        WHERE community_id = $1 AND profile_id = t.profile_id AND values_version >= 0
        OFFSET 0
    ) AS known ON TRUE
    CROSS JOIN LATERAL (
        SELECT
            coalesce(array_agg(brand ORDER BY brand), '{}') AS brands,
            coalesce(array_agg(
                -- Half-even, once a brand.
                CASE WHEN abs(minor - trunc(minor)) = 0.5 THEN 2 * round(minor / 2) ELSE round(minor) END
                ORDER BY brand
            ), '{}') AS brand_amounts
        FROM (
            SELECT
                coalesce(brand.name, line.brand) AS brand,
                sum(coalesce(line.price_sell, 0) * line.quantity)
                    * CASE WHEN coalesce(t.currency, $5) = $5 THEN 1 ELSE t.currency_rate END
                    * 10::numeric ^ $6::int AS minor
            FROM (
                SELECT brand, product_id, price_sell, quantity
                FROM transaction_items
                WHERE community_id = $1 AND transaction_id = t.id AND NOT is_void
                OFFSET 0
            ) AS line
            LEFT JOIN LATERAL (
                SELECT brand_id FROM products WHERE community_id = $1 AND id = line.product_id OFFSET 0
            ) AS product ON TRUE
            LEFT JOIN LATERAL (
                SELECT name FROM brands WHERE community_id = $1 AND id = product.brand_id OFFSET 0
            ) AS brand ON TRUE
            GROUP BY coalesce(brand.name, line.brand)
        ) AS by_brand
    ) AS bought
),
moved AS MATERIALIZED (
    SELECT kept.id
    FROM kept
    LEFT JOIN fresh ON fresh.id = kept.id
    WHERE (
        fresh.at, fresh.counted, fresh.sales, fresh.amount, fresh.member_id, fresh.location, fresh.channel,
        fresh.brands, fresh.brand_amounts
    ) IS DISTINCT FROM (
        kept.at, kept.counted, kept.sales, kept.amount, kept.member_id, kept.location, kept.channel,
        kept.brands, kept.brand_amounts
    )
),
ended AS (
    INSERT INTO purchase_changes
    SELECT kept.*, pg_current_xact_id()
    FROM kept
    JOIN moved ON moved.id = kept.id
    -- What this transaction told itself nobody has seen.
    WHERE kept.counted AND kept.since <> pg_current_xact_id()
    RETURNING 1
),
dropped AS (
    DELETE FROM purchases
    WHERE community_id = $1
      AND id = ANY (ARRAY(SELECT moved.id FROM moved WHERE moved.id NOT IN (SELECT fresh.id FROM fresh)))
),
put AS (
    INSERT INTO purchases AS there (
        community_id, id, since, at, counted, sales, amount, member_id, location, channel, brands, brand_amounts,
        dimension_frequency, dimension_recency, dimension_join, gender, age
    )
    SELECT
        $1, id, CASE WHEN at <= $3 THEN pg_current_xact_id() END, at, counted, sales, amount, member_id, location,
        channel, brands, brand_amounts, dimension_frequency, dimension_recency, dimension_join, gender, age
    FROM fresh
    WHERE id NOT IN (SELECT kept.id FROM kept) OR id IN (SELECT moved.id FROM moved)
    ORDER BY id
    ON CONFLICT (community_id, id) DO UPDATE
    SET since = excluded.since,
        at = excluded.at,
        counted = excluded.counted,
        sales = excluded.sales,
        amount = excluded.amount,
        member_id = excluded.member_id,
        location = excluded.location,
        channel = excluded.channel,
        brands = excluded.brands,
        brand_amounts = excluded.brand_amounts
)
SELECT count(*) FROM ended
