-- $1 is the community, $2 are profiles, $3 is the instant for each of them.
requested AS MATERIALIZED (
    SELECT input.k, input.profile_id, input.as_of,
           -- Outside of these bounds, no calendar arithmetic is needed to test a window.
           input.as_of - INTERVAL '12 months' - INTERVAL '4 days' AS before_12m,
           input.as_of - INTERVAL '12 months' + INTERVAL '4 days' AS after_12m,
           input.as_of - INTERVAL '24 months' - INTERVAL '4 days' AS before_24m,
           input.as_of - INTERVAL '24 months' + INTERVAL '4 days' AS after_24m
    -- generate_series, because the planner estimates a thousand rows for it. For unnest it estimates ten and may choose
    -- nested loops, which take hours for thousands of profiles.
    FROM (
        SELECT k, ($2::uuid[])[k] AS profile_id, ($3::timestamptz[])[k] AS as_of
        FROM generate_series(1, cardinality($2::uuid[])) AS k
    ) AS input
),
community AS MATERIALIZED (
    SELECT communities.timezone AS zone, communities.currency, cache_versions.values_version
    FROM communities
    JOIN cache_versions ON cache_versions.community_id = communities.id
    WHERE communities.id = $1
),
locations AS NOT MATERIALIZED (
    SELECT id AS location_id, external_id, type, timezone, country, iso_state, state
    FROM locations
    WHERE community_id = $1
),
member AS MATERIALIZED (
    SELECT requested.k, requested.profile_id, requested.as_of,
           community.zone, community.currency, community.values_version,
           profiles.joined_at,
           profiles.joined_location_id,
           profiles.preferred_location_id,
           CAST(profiles.joined_at AT TIME ZONE community.zone AS date) AS joined_on,
           CAST(requested.as_of AT TIME ZONE community.zone AS date) AS today,
           (
               SELECT min(future.transacted_at)
               FROM transactions AS future
               WHERE future.community_id = $1
                 AND future.profile_id = requested.profile_id
                 AND future.transacted_at > requested.as_of
                 AND NOT future.is_void
           ) AS next_future_at
    FROM requested
    CROSS JOIN community
    JOIN profiles
      ON profiles.community_id = $1
     AND profiles.profile_id = requested.profile_id
     AND profiles.deleted_at IS NULL
),
history AS MATERIALIZED (
    -- Non-null columns of fixed width come first, because every relation below reads these rows again.
    SELECT requested.k,
           row_number() OVER (PARTITION BY requested.k ORDER BY t.transacted_at, t.external_id, t.id) AS n,
           t.transacted_at, t.amount, t.id,
           coalesce(
               t.transacted_on,
               CAST(t.transacted_at AT TIME ZONE coalesce(place.timezone, community.zone) AS date)
           ) AS transacted_on,
           t.direction = 1 AS is_sale,
           t.direction <> 0 AS has_amount,
           t.transacted_at > requested.before_12m
               AND (t.transacted_at > requested.after_12m OR requested.as_of < t.transacted_at + INTERVAL '12 months')
               AS within_12m,
           t.transacted_at > requested.before_24m
               AND (t.transacted_at > requested.after_24m OR requested.as_of < t.transacted_at + INTERVAL '24 months')
               AS within_24m,
           t.items_overflow,
           coalesce(t.channels, CASE WHEN place.type = 'online' THEN 2 WHEN place.type <> '' THEN 1 END)
               AS channels,
           t.location_id, t.discount, t.list_value, t.item_product_ids, t.item_brands
    FROM requested
    CROSS JOIN community
    JOIN transactions AS t
      ON t.community_id = $1
     AND t.profile_id = requested.profile_id
     AND t.transacted_at <= requested.as_of
     AND NOT t.is_void
    -- Only if the transaction itself does not determine its date and channel.
    LEFT JOIN locations AS place
      ON place.location_id = CASE WHEN t.transacted_on IS NULL OR t.channels IS NULL THEN t.location_id END
),
lines AS MATERIALIZED (
    SELECT k, unnest(item_product_ids) AS product_id, unnest(item_brands) AS brand
    FROM history
    WHERE item_product_ids IS NOT NULL OR item_brands IS NOT NULL
    UNION ALL
    SELECT history.k, items.product_id, items.brand
    FROM history
    JOIN transaction_items AS items ON items.community_id = $1 AND items.transaction_id = history.id
    WHERE history.items_overflow AND NOT items.is_void AND items.quantity > 0
),
product_brands AS MATERIALIZED (
    -- Each product once, independent of the number of buyers.
    SELECT line_products.product_id, product.brand_id
    FROM (SELECT DISTINCT product_id FROM lines) AS line_products
    CROSS JOIN LATERAL (
        SELECT brand_id
        FROM products
        WHERE products.community_id = $1 AND products.id = line_products.product_id
        OFFSET 0
    ) AS product
),
sold AS (
    -- Deduplicated before sorting, because there are far fewer brands than lines.
    SELECT DISTINCT lines.k, coalesce(brands.name, lines.brand) AS brand
    FROM lines
    LEFT JOIN product_brands ON product_brands.product_id = lines.product_id
    LEFT JOIN brands ON brands.community_id = $1 AND brands.id = product_brands.brand_id
    WHERE coalesce(brands.name, lines.brand) IS NOT NULL
),
addresses AS NOT MATERIALIZED (
    -- OFFSET 0 forces the index scan: with its estimate of a thousand profiles the planner might scan the table.
    SELECT member.k, address.is_default, address.country, address.iso_state, address.state
    FROM member
    CROSS JOIN LATERAL (
        SELECT is_default, country, iso_state, state
        FROM addresses AS stored
        WHERE stored.community_id = $1 AND stored.profile_id = member.profile_id
        OFFSET 0
    ) AS address
)
