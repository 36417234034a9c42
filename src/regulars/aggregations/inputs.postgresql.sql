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
    -- OFFSET 0 forces an index scan for each profile, here and below: with its estimate of a thousand profiles the
    -- planner reads a small table whole, which costs a commit of few profiles more than all its look-ups. Deleted ones
    -- are left out afterwards, because the condition would admit the indexes of those that are not. While a table has no
    -- statistics, all indexes seem to cost the same, and any of them but that of the key is read whole for each profile.
    CROSS JOIN LATERAL (
        SELECT joined_at, joined_location_id, preferred_location_id, deleted_at
        FROM profiles
        WHERE community_id = $1 AND profile_id = requested.profile_id
        OFFSET 0
    ) AS profiles
    WHERE profiles.deleted_at IS NULL
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
    CROSS JOIN LATERAL (
        SELECT transacted_at, external_id, id, amount, transacted_on, direction, items_overflow, channels, location_id,
               discount, list_value, item_product_ids, item_brands
        FROM transactions
        WHERE community_id = $1
          AND profile_id = requested.profile_id
          AND transacted_at <= requested.as_of
          AND NOT is_void
        OFFSET 0
    ) AS t
    -- Only if the transaction itself does not determine its date and channel.
    LEFT JOIN LATERAL (
        SELECT timezone, type
        FROM locations
        WHERE community_id = $1
          AND id = CASE WHEN t.transacted_on IS NULL OR t.channels IS NULL THEN t.location_id END
        OFFSET 0
    ) AS place ON TRUE
),
locations AS MATERIALIZED (
    -- Those that the profiles name, because a community may have many thousands. As one list of keys they are found in
    -- one pass through the index; so are products and brands below.
    SELECT id AS location_id, external_id, country, iso_state, state
    FROM locations
    WHERE community_id = $1
      AND id = ANY (ARRAY(
          SELECT location_id FROM history
          UNION
          SELECT joined_location_id FROM member
          UNION
          SELECT preferred_location_id FROM member
      ))
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
    SELECT id AS product_id, brand_id
    FROM products
    WHERE community_id = $1 AND id = ANY (ARRAY(SELECT DISTINCT product_id FROM lines)) AND brand_id IS NOT NULL
),
brand_names AS MATERIALIZED (
    SELECT id AS brand_id, name
    FROM brands
    WHERE community_id = $1 AND id = ANY (ARRAY(SELECT DISTINCT brand_id FROM product_brands))
),
sold AS (
    -- Deduplicated before sorting, because there are far fewer brands than lines.
    SELECT DISTINCT lines.k, coalesce(brand_names.name, lines.brand) AS brand
    FROM lines
    LEFT JOIN product_brands ON product_brands.product_id = lines.product_id
    LEFT JOIN brand_names ON brand_names.brand_id = product_brands.brand_id
    WHERE coalesce(brand_names.name, lines.brand) IS NOT NULL
),
addresses AS NOT MATERIALIZED (
    SELECT member.k, address.is_default, address.country, address.iso_state, address.state
    FROM member
    CROSS JOIN LATERAL (
        SELECT is_default, country, iso_state, state
        FROM addresses AS stored
        WHERE stored.community_id = $1 AND stored.profile_id = member.profile_id
        OFFSET 0
    ) AS address
)
