-- New transactions with their items. One row goes out for each that came in: `place` is its number
-- from 1, and `id` is null where its external id was there before. Columns come as array literals; one that
-- is shorter than others goes on in nulls.
WITH given AS MATERIALIZED (
    SELECT next_id() AS id, row.*
    FROM unnest(
        $2::text::text[], $3::text::uuid[], $4::text::timestamptz[], $5::text::text[], $6::text::numeric[],
        $7::text::text[], $8::text::numeric[], $9::text::bigint[], $10::text::text[], $11::text::bool[],
        $12::text::text[], $13::text::jsonb[], $14::bytea[], $15::text::bigint[], $16::text::date[],
        $17::text::smallint[], $18::text::numeric[], $19::text::numeric[], $20::text::text[], $21::text::text[],
        $22::text::bool[]
    ) WITH ORDINALITY AS row (
        external_id, profile_id, transacted_at, timezone, total,
        currency, currency_rate, location_id, systems, is_void,
        receipt_ref, details, fingerprint, amount, transacted_on,
        channels, discount, list_value, item_product_ids, item_brands,
        items_overflow, place
    )
),
made AS (
    INSERT INTO transactions (
        community_id, id, external_id, profile_id, transacted_at, timezone, total, currency, currency_rate,
        location_id, systems, is_void, receipt_ref, details, fingerprint, created_at, updated_at,
        amount, direction, transacted_on, channels, discount, list_value, item_product_ids, item_brands, items_overflow
    )
    SELECT $1, id, external_id, profile_id, transacted_at, timezone, total, currency, currency_rate,
           location_id, string_to_array(systems, ','), is_void, receipt_ref, details, fingerprint, $23, $23,
           amount, sign(total)::smallint, transacted_on, channels, discount, list_value,
           item_product_ids::bigint[], item_brands::text[], items_overflow
    FROM given
    ORDER BY external_id, place
    ON CONFLICT (community_id, external_id) WHERE external_id IS NOT NULL DO NOTHING
    RETURNING id
),
line AS MATERIALIZED (
    -- Numbered in the order in which they came.
    SELECT next_id() AS id, row.*
    FROM unnest(
        $24::text::int[], $25::text::text[], $26::text::text[], $27::text::text[], $28::text::text[],
        $29::text::bigint[], $30::text::bigint[], $31::text::numeric[], $32::text::numeric[], $33::text::numeric[],
        $34::text::numeric[], $35::text::numeric[], $36::text::jsonb[], $37::text::bool[], $38::text::jsonb[]
    ) AS row (
        owner, external_id, name, sku, brand,
        product_id, product_variant_id, quantity, price_sell, price_current,
        price_original, price_tax, discounts, is_void, details
    )
),
items AS (
    INSERT INTO transaction_items (
        community_id, transaction_id, id, external_id, name, sku, brand, product_id, product_variant_id,
        quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details,
        created_at, updated_at
    )
    SELECT $1, made.id, line.id, line.external_id, line.name, line.sku, line.brand,
           line.product_id, line.product_variant_id, line.quantity, line.price_sell, line.price_current,
           line.price_original, line.price_tax, line.discounts, line.is_void, line.details, $23, $23
    FROM line
    JOIN given ON given.place = line.owner
    JOIN made ON made.id = given.id
)
SELECT given.place, made.id
FROM given
LEFT JOIN made ON made.id = given.id
ORDER BY given.place
