-- Inserts new transactions with their items. Returns one row per input row: its `ordinal` from 1, and the `id`, which
-- is null if its external id exists. Columns are passed as array literals; a shorter one is padded with nulls.
-- If $39, it also locks the profiles of new transactions, and returns whether that of a row is locked and exists; the
-- first row then has the ids of all items in the order of the input.
WITH input AS MATERIALIZED (
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
        items_overflow, ordinal
    )
),
inserted AS (
    INSERT INTO transactions (
        community_id, id, external_id, profile_id, transacted_at, timezone, total, currency, currency_rate,
        location_id, systems, is_void, receipt_ref, details, fingerprint, created_at, updated_at,
        amount, direction, transacted_on, channels, discount, list_value, item_product_ids, item_brands, items_overflow
    )
    SELECT $1, id, external_id, profile_id, transacted_at, timezone, total, currency, currency_rate,
           location_id, string_to_array(systems, ','), is_void, receipt_ref, details, fingerprint, $23, $23,
           amount, sign(total)::smallint, transacted_on, channels, discount, list_value,
           item_product_ids::bigint[], item_brands::text[], items_overflow
    FROM input
    ORDER BY external_id, ordinal
    ON CONFLICT (community_id, external_id) WHERE external_id IS NOT NULL DO NOTHING
    RETURNING id
),
input_items AS MATERIALIZED (
    -- Ids are assigned in the order of the input.
    SELECT next_id() AS id, row.*
    FROM unnest(
        $24::text::int[], $25::text::text[], $26::text::text[], $27::text::text[], $28::text::text[],
        $29::text::bigint[], $30::text::bigint[], $31::text::numeric[], $32::text::numeric[], $33::text::numeric[],
        $34::text::numeric[], $35::text::numeric[], $36::text::jsonb[], $37::text::bool[], $38::text::jsonb[]
    ) AS row (
        transaction_ordinal, external_id, name, sku, brand,
        product_id, product_variant_id, quantity, price_sell, price_current,
        price_original, price_tax, discounts, is_void, details
    )
),
inserted_items AS (
    INSERT INTO transaction_items (
        community_id, transaction_id, id, external_id, name, sku, brand, product_id, product_variant_id,
        quantity, price_sell, price_current, price_original, price_tax, discounts, is_void, details,
        created_at, updated_at
    )
    SELECT $1, inserted.id, item.id, item.external_id, item.name, item.sku, item.brand,
           item.product_id, item.product_variant_id, item.quantity, item.price_sell, item.price_current,
           item.price_original, item.price_tax, item.discounts, item.is_void, item.details, $23, $23
    FROM input_items AS item
    JOIN input ON input.ordinal = item.transaction_ordinal
    JOIN inserted ON inserted.id = input.id
),
locked AS MATERIALIZED (
    -- In the order of their ids, and after all transactions are inserted: the array needs them first.
    SELECT profile_id
    FROM profiles
    WHERE community_id = $1
      AND profile_id = ANY (ARRAY(
          SELECT input.profile_id FROM inserted JOIN input ON input.id = inserted.id WHERE $39::bool
      ))
      AND deleted_at IS NULL AND merged_into IS NULL
    ORDER BY profile_id
    FOR NO KEY UPDATE
)
SELECT input.ordinal, inserted.id, locked.profile_id IS NOT NULL AS is_locked,
       CASE WHEN $39 AND input.ordinal = 1 THEN ARRAY(SELECT id FROM input_items) END AS item_ids
FROM input
LEFT JOIN inserted ON inserted.id = input.id
LEFT JOIN locked ON locked.profile_id = input.profile_id
ORDER BY input.ordinal
