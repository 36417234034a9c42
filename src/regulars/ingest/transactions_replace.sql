-- Transactions that are there, each whole: its row, and its items by id. Items that keep an id keep it;
-- the others are new. The rows are locked by an earlier statement.
WITH given AS MATERIALIZED (
    SELECT row.*
    FROM unnest(
        $2::text[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
        $10::text[], $11::bool[], $12::text[], $13::text[], $14::bytea[], $15::bigint[], $16::smallint[],
        $17::date[], $18::smallint[], $19::text[], $20::text[], $21::text[], $22::text[], $23::bool[], $40::bigint[]
    ) WITH ORDINALITY AS row (
        external_id, profile_id, transacted_at, timezone, total, currency, currency_rate, location_id,
        systems, is_void, receipt_ref, details, fingerprint, amount, sign,
        shop_date, channels, discount, list_value, sold_products, sold_brands, sold_in_items, id, place
    )
),
replaced AS (
    UPDATE transactions AS kept
    SET external_id = given.external_id,
        profile_id = given.profile_id,
        transacted_at = given.transacted_at,
        timezone = given.timezone,
        total = given.total::numeric,
        currency = given.currency,
        currency_rate = given.currency_rate::numeric,
        location_id = given.location_id,
        systems = string_to_array(given.systems, ','),
        is_void = given.is_void,
        receipt_ref = given.receipt_ref,
        details = given.details::jsonb,
        fingerprint = given.fingerprint,
        updated_at = $24,
        amount = given.amount,
        sign = given.sign,
        shop_date = given.shop_date,
        channels = given.channels,
        discount = given.discount::numeric,
        list_value = given.list_value::numeric,
        sold_products = given.sold_products::bigint[],
        sold_brands = given.sold_brands::text[],
        sold_in_items = given.sold_in_items
    FROM given
    WHERE kept.community_id = $1 AND kept.id = given.id
),
line AS MATERIALIZED (
    -- Numbered in the order in which they came.
    SELECT coalesce(row.id, nextval('transaction_item_ids')) AS id,
           row.owner, row.external_id, row.name, row.sku, row.brand, row.product_id, row.product_variant_id,
           row.quantity::numeric AS quantity, row.price_sell::numeric AS price_sell,
           row.price_current::numeric AS price_current, row.price_original::numeric AS price_original,
           row.price_tax::numeric AS price_tax, row.discounts::jsonb AS discounts, row.is_void,
           row.details::jsonb AS details
    FROM unnest(
        $25::int[], $26::text[], $27::text[], $28::text[], $29::text[], $30::bigint[], $31::bigint[], $32::text[],
        $33::text[], $34::text[], $35::text[], $36::text[], $37::text[], $38::bool[], $39::text[], $41::bigint[]
    ) AS row (
        owner, external_id, name, sku, brand, product_id, product_variant_id, quantity,
        price_sell, price_current, price_original, price_tax, discounts, is_void, details, id
    )
),
item AS MATERIALIZED (
    SELECT given.id AS transaction_id, line.*
    FROM line
    JOIN given ON given.place = line.owner
),
dropped AS (
    DELETE FROM transaction_items AS kept
    USING given
    WHERE kept.community_id = $1
      AND kept.transaction_id = given.id
      AND NOT EXISTS (
          SELECT FROM item WHERE item.transaction_id = kept.transaction_id AND item.id = kept.id
      )
)
INSERT INTO transaction_items AS kept (
    community_id, transaction_id, id, external_id, name, sku, brand, product_id, product_variant_id,
    quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details,
    created_at, updated_at
)
SELECT $1, transaction_id, id, external_id, name, sku, brand, product_id, product_variant_id,
       quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details, $24, $24
FROM item
ON CONFLICT (community_id, transaction_id, id) DO UPDATE
SET external_id = excluded.external_id,
    name = excluded.name,
    sku = excluded.sku,
    brand = excluded.brand,
    product_id = excluded.product_id,
    product_variant_id = excluded.product_variant_id,
    quantity = excluded.quantity,
    price_sell = excluded.price_sell,
    price_current = excluded.price_current,
    price_original = excluded.price_original,
    price_tax = excluded.price_tax,
    discounts = excluded.discounts,
    is_void = excluded.is_void,
    details = excluded.details,
    updated_at = excluded.updated_at
