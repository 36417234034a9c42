-- The transactions `requested`, as they are recorded; the buyer of one that is `stored` stays as it was.
recomputed AS MATERIALIZED (
    SELECT
        t.id,
        t.transacted_at AS purchased_at,
        NOT t.is_void AS is_counted,
        CASE t.direction WHEN 1 THEN 1 ELSE 0 END AS sales,
        t.amount,
        buyer.member_id,
        t.location_id AS location,
        channel_code(coalesce(t.channels, CASE WHEN place.type = 'online' THEN 2 WHEN place.type <> '' THEN 1 END))
            AS channel,
        brand_totals.brands,
        brand_totals.brand_amounts,
        CASE WHEN stored.id IS NULL THEN buyer_values.dimension_frequency ELSE stored.dimension_frequency END
            AS dimension_frequency,
        CASE WHEN stored.id IS NULL THEN buyer_values.dimension_recency ELSE stored.dimension_recency END
            AS dimension_recency,
        CASE WHEN stored.id IS NULL THEN buyer_values.dimension_join ELSE stored.dimension_join END AS dimension_join,
        CASE WHEN stored.id IS NULL THEN buyer.gender ELSE stored.gender END AS gender,
        CASE
            WHEN stored.id IS NULL
            THEN age_group(
                10000 * buyer.birth_year + 100 * coalesce(buyer.birth_month, 1) + coalesce(buyer.birth_day, 1),
                day_number($3, $4)
            )
            ELSE stored.age
        END AS age
    FROM requested
    CROSS JOIN LATERAL (
        SELECT id, profile_id, transacted_at, is_void, direction, amount, location_id, channels, currency, currency_rate
        FROM transactions
        WHERE community_id = $1 AND id = requested.id
        OFFSET 0
    ) AS t
    LEFT JOIN stored ON stored.id = t.id
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
        -- The values of profiles that a load has marked dirty are not computed yet.
        WHERE community_id = $1 AND profile_id = t.profile_id AND values_version >= 0
        OFFSET 0
    ) AS buyer_values ON TRUE
    CROSS JOIN LATERAL (
        SELECT
            coalesce(array_agg(brand ORDER BY brand), '{}') AS brands,
            coalesce(array_agg(
                -- Half-even, once per brand.
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
    ) AS brand_totals
),
