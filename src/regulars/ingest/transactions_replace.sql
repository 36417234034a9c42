-- Replaces existing transactions, each with all its items. Items with a known id keep it, others are new, and items
-- that are not in the input are deleted. An earlier statement has locked the transactions.
WITH input AS MATERIALIZED (
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
        items_overflow, id, ordinal
    )
),
updated AS (
    UPDATE transactions AS stored
    SET external_id = input.external_id,
        profile_id = input.profile_id,
        transacted_at = input.transacted_at,
        timezone = input.timezone,
        total = input.total,
        currency = input.currency,
        currency_rate = input.currency_rate,
        location_id = input.location_id,
        systems = string_to_array(input.systems, ','),
        is_void = input.is_void,
        receipt_ref = input.receipt_ref,
        details = input.details,
        fingerprint = input.fingerprint,
        updated_at = $23,
        amount = input.amount,
        direction = sign(input.total)::smallint,
        transacted_on = input.transacted_on,
        channels = input.channels,
        discount = input.discount,
        list_value = input.list_value,
        item_product_ids = input.item_product_ids::bigint[],
        item_brands = input.item_brands::text[],
        items_overflow = input.items_overflow
    FROM input
    WHERE stored.community_id = $1 AND stored.id = input.id
),
input_items AS MATERIALIZED (
    -- Ids are assigned in the order of the input.
    SELECT coalesce(row.id, next_id()) AS id,
           row.transaction_ordinal, row.external_id, row.name, row.sku, row.brand, row.product_id,
           row.product_variant_id,
           row.quantity, row.price_sell, row.price_current, row.price_original, row.price_tax, row.discounts,
           row.is_void, row.details
    FROM unnest(
        $24::text::int[], $25::text::text[], $26::text::text[], $27::text::text[], $28::text::text[],
        $29::text::bigint[], $30::text::bigint[], $31::text::numeric[], $32::text::numeric[], $33::text::numeric[],
        $34::text::numeric[], $35::text::numeric[], $36::text::jsonb[], $37::text::bool[], $38::text::jsonb[],
        $40::bigint[]
    ) AS row (
        transaction_ordinal, external_id, name, sku, brand,
        product_id, product_variant_id, quantity, price_sell, price_current,
        price_original, price_tax, discounts, is_void, details, id
    )
),
target_items AS MATERIALIZED (
    SELECT input.id AS transaction_id, item.*
    FROM input_items AS item
    JOIN input ON input.ordinal = item.transaction_ordinal
),
deleted_items AS (
    DELETE FROM transaction_items AS stored
    USING input
    WHERE stored.community_id = $1
      AND stored.transaction_id = input.id
      AND NOT EXISTS (
          SELECT FROM target_items AS item WHERE item.transaction_id = stored.transaction_id AND item.id = stored.id
      )
)
INSERT INTO transaction_items AS stored (
    community_id, transaction_id, id, external_id, name, sku, brand, product_id, product_variant_id,
    quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details,
    created_at, updated_at
)
SELECT $1, transaction_id, id, external_id, name, sku, brand, product_id, product_variant_id,
       quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details, $23, $23
FROM target_items
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
