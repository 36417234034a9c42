-- New transactions with their items. One row goes out for each that came in: `place` is its number
-- from 1, and `id` is null where its external id was there before.
WITH given AS MATERIALIZED (
    SELECT nextval('transaction_ids') AS id, row.*
    FROM unnest(
        $2::text[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
        $10::text[], $11::bool[], $12::text[], $13::text[], $14::bytea[], $15::bigint[], $16::smallint[],
        $17::date[], $18::smallint[], $19::text[], $20::text[], $21::text[], $22::text[], $23::bool[]
    ) WITH ORDINALITY AS row (
        external_id, profile_id, transacted_at, timezone, total, currency, currency_rate, location_id,
        systems, is_void, receipt_ref, details, fingerprint, amount, sign,
        shop_date, channels, discount, list_value, sold_products, sold_brands, sold_in_items, place
    )
),
made AS (
    INSERT INTO transactions (
        community_id, id, external_id, profile_id, transacted_at, timezone, total, currency, currency_rate,
        location_id, systems, is_void, receipt_ref, details, fingerprint, created_at, updated_at,
        amount, sign, shop_date, channels, discount, list_value, sold_products, sold_brands, sold_in_items
    )
    SELECT $1, id, external_id, profile_id, transacted_at, timezone, total::numeric, currency, currency_rate::numeric,
           location_id, string_to_array(systems, ','), is_void, receipt_ref, details::jsonb, fingerprint, $24, $24,
           amount, sign, shop_date, channels, discount::numeric, list_value::numeric,
           sold_products::bigint[], sold_brands::text[], sold_in_items
    FROM given
    ORDER BY external_id, place
    ON CONFLICT (community_id, external_id) DO NOTHING
    RETURNING id
),
line AS MATERIALIZED (
    -- Numbered in the order in which they came.
    SELECT nextval('transaction_item_ids') AS id, row.*
    FROM unnest(
        $25::int[], $26::text[], $27::text[], $28::text[], $29::text[], $30::bigint[], $31::bigint[], $32::text[],
        $33::text[], $34::text[], $35::text[], $36::text[], $37::text[], $38::bool[], $39::text[]
    ) AS row (
        owner, external_id, name, sku, brand, product_id, product_variant_id, quantity,
        price_sell, price_current, price_original, price_tax, discounts, is_void, details
    )
),
items AS (
    INSERT INTO transaction_items (
        community_id, transaction_id, id, external_id, name, sku, brand, product_id, product_variant_id,
        quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details,
        created_at, updated_at
    )
    SELECT $1, made.id, line.id, line.external_id, line.name, line.sku, line.brand,
           line.product_id, line.product_variant_id, line.quantity::numeric, line.price_sell::numeric,
           line.price_current::numeric, line.price_original::numeric, line.price_tax::numeric,
           line.discounts::jsonb, line.is_void, line.details::jsonb, $24, $24
    FROM line
    JOIN given ON given.place = line.owner
    JOIN made ON made.id = given.id
)
SELECT given.place, made.id
FROM given
LEFT JOIN made ON made.id = given.id
ORDER BY given.place
