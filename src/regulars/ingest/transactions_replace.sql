-- Transactions that are there, each whole: its row, and its items by id. Items that keep an id keep it;
-- the others are new. The rows are locked by an earlier statement.
WITH given AS MATERIALIZED (
    SELECT row.*
    FROM unnest(
        $2::text::text[], $3::text::uuid[], $4::text::timestamptz[], $5::text::text[], $6::text::numeric[],
        $7::text::text[], $8::text::numeric[], $9::text::bigint[], $10::text::text[], $11::text::bool[],
        $12::text::text[], $13::text::jsonb[], $14::bytea[], $15::text::bigint[], $16::text::date[],
        $17::text::smallint[], $18::text::numeric[], $19::text::numeric[], $20::text::text[], $21::text::text[],
        $22::text::bool[], $39::bigint[]
    ) WITH ORDINALITY AS row (
        external_id, profile_id, transacted_at, timezone, total,
        currency, currency_rate, location_id, systems, is_void,
        receipt_ref, details, fingerprint, amount, transacted_on,
        channels, discount, list_value, item_product_ids, item_brands,
        items_overflow, id, place
    )
),
replaced AS (
    UPDATE transactions AS kept
    SET external_id = given.external_id,
        profile_id = given.profile_id,
        transacted_at = given.transacted_at,
        timezone = given.timezone,
        total = given.total,
        currency = given.currency,
        currency_rate = given.currency_rate,
        location_id = given.location_id,
        systems = string_to_array(given.systems, ','),
        is_void = given.is_void,
        receipt_ref = given.receipt_ref,
        details = given.details,
        fingerprint = given.fingerprint,
        updated_at = $23,
        amount = given.amount,
        direction = sign(given.total)::smallint,
        transacted_on = given.transacted_on,
        channels = given.channels,
        discount = given.discount,
        list_value = given.list_value,
        item_product_ids = given.item_product_ids::bigint[],
        item_brands = given.item_brands::text[],
        items_overflow = given.items_overflow
    FROM given
    WHERE kept.community_id = $1 AND kept.id = given.id
),
line AS MATERIALIZED (
    -- Numbered in the order in which they came.
    SELECT coalesce(row.id, next_id()) AS id,
           row.owner, row.external_id, row.name, row.sku, row.brand, row.product_id, row.product_variant_id,
           row.quantity, row.price_sell, row.price_current, row.price_original, row.price_tax, row.discounts,
           row.is_void, row.details
    FROM unnest(
        $24::text::int[], $25::text::text[], $26::text::text[], $27::text::text[], $28::text::text[],
        $29::text::bigint[], $30::text::bigint[], $31::text::numeric[], $32::text::numeric[], $33::text::numeric[],
        $34::text::numeric[], $35::text::numeric[], $36::text::jsonb[], $37::text::bool[], $38::text::jsonb[],
        $40::bigint[]
    ) AS row (
        owner, external_id, name, sku, brand,
        product_id, product_variant_id, quantity, price_sell, price_current,
        price_original, price_tax, discounts, is_void, details, id
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
       quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details, $23, $23
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
