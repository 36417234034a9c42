-- $1 the community, $2 profiles, $3 the instant for each of them.
asked AS MATERIALIZED (
    SELECT given.k, given.profile_id, given.as_of,
           -- Beyond these, no calendar arithmetic is needed to tell on which side of the window an instant is.
           given.as_of - INTERVAL '12 months' - INTERVAL '4 days' AS before_12m,
           given.as_of - INTERVAL '12 months' + INTERVAL '4 days' AS after_12m,
           given.as_of - INTERVAL '24 months' - INTERVAL '4 days' AS before_24m,
           given.as_of - INTERVAL '24 months' + INTERVAL '4 days' AS after_24m
    -- A series, for the planner then expects a thousand profiles; of an array it expects ten, and might
    -- join what follows by nested loops, which take hours for thousands.
    FROM (
        SELECT k, ($2::uuid[])[k] AS profile_id, ($3::timestamptz[])[k] AS as_of
        FROM generate_series(1, cardinality($2::uuid[])) AS k
    ) AS given
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
    SELECT asked.k, asked.profile_id, asked.as_of,
           community.zone, community.currency, community.values_version,
           profiles.joined_at,
           profiles.joined_location_id,
           profiles.preferred_location_id,
           CAST(profiles.joined_at AT TIME ZONE community.zone AS date) AS joined_on,
           CAST(asked.as_of AT TIME ZONE community.zone AS date) AS today,
           (
               SELECT min(ahead.transacted_at)
               FROM transactions AS ahead
               WHERE ahead.community_id = $1
                 AND ahead.profile_id = asked.profile_id
                 AND ahead.transacted_at > asked.as_of
                 AND NOT ahead.is_void
           ) AS falls_due_at
    FROM asked
    CROSS JOIN community
    JOIN profiles
      ON profiles.community_id = $1
     AND profiles.profile_id = asked.profile_id
     AND profiles.deleted_at IS NULL
),
history AS MATERIALIZED (
    -- What is never null and of one width comes first: every relation below reads these rows again.
    SELECT asked.k,
           row_number() OVER (PARTITION BY asked.k ORDER BY told.transacted_at, told.external_id, told.id) AS n,
           told.transacted_at, told.amount, told.id,
           coalesce(
               told.transacted_on,
               CAST(told.transacted_at AT TIME ZONE coalesce(place.timezone, community.zone) AS date)
           ) AS transacted_on,
           told.direction = 1 AS is_sale,
           told.direction <> 0 AS moves,
           told.transacted_at > asked.before_12m
               AND (told.transacted_at > asked.after_12m OR asked.as_of < told.transacted_at + INTERVAL '12 months')
               AS within_12m,
           told.transacted_at > asked.before_24m
               AND (told.transacted_at > asked.after_24m OR asked.as_of < told.transacted_at + INTERVAL '24 months')
               AS within_24m,
           told.items_overflow,
           coalesce(told.channels, CASE WHEN place.type = 'online' THEN 2 WHEN place.type <> '' THEN 1 END)
               AS channels,
           told.location_id, told.discount, told.list_value, told.item_product_ids, told.item_brands
    FROM asked
    CROSS JOIN community
    JOIN transactions AS told
      ON told.community_id = $1
     AND told.profile_id = asked.profile_id
     AND told.transacted_at <= asked.as_of
     AND NOT told.is_void
    -- Only where the transaction itself leaves its date or its channel open.
    LEFT JOIN locations AS place
      ON place.location_id = CASE WHEN told.transacted_on IS NULL OR told.channels IS NULL THEN told.location_id END
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
bought AS MATERIALIZED (
    -- Each product once, however many profiles bought it.
    SELECT wanted.product_id, product.brand_id
    FROM (SELECT DISTINCT product_id FROM lines) AS wanted
    CROSS JOIN LATERAL (
        SELECT brand_id
        FROM products
        WHERE products.community_id = $1 AND products.id = wanted.product_id
        OFFSET 0
    ) AS product
),
sold AS (
    -- Told apart before they are put in order, for there are far fewer brands than lines.
    SELECT DISTINCT lines.k, coalesce(brands.name, lines.brand) AS brand
    FROM lines
    LEFT JOIN bought ON bought.product_id = lines.product_id
    LEFT JOIN brands ON brands.community_id = $1 AND brands.id = bought.brand_id
    WHERE coalesce(brands.name, lines.brand) IS NOT NULL
),
addresses AS NOT MATERIALIZED (
    -- OFFSET holds the planner to the index: by its guess of a thousand profiles it might read the whole table.
    SELECT member.k, own.is_default, own.country, own.iso_state, own.state
    FROM member
    CROSS JOIN LATERAL (
        SELECT is_default, country, iso_state, state
        FROM addresses AS stored
        WHERE stored.community_id = $1 AND stored.profile_id = member.profile_id
        OFFSET 0
    ) AS own
)
