-- Computed columns of transactions against their inputs, and references to missing rows, of community $1.
WITH club AS (
    SELECT currency, minor_digits FROM communities WHERE id = $1
),
scaled AS (
    SELECT t.id, t.amount, t.direction, t.total, t.transacted_on, t.transacted_at, t.timezone, t.discount, t.list_value,
           t.profile_id, t.location_id, t.systems, t.channels, t.item_product_ids, t.item_brands, t.items_overflow,
           t.total * into_own.rate * (10::numeric ^ club.minor_digits) AS minor,
           into_own.rate
    FROM transactions AS t
    CROSS JOIN club
    CROSS JOIN LATERAL (
        -- A rate that came with the community's own currency means nothing.
        SELECT CASE WHEN coalesce(t.currency, club.currency) = club.currency THEN 1 ELSE t.currency_rate END AS rate
    ) AS into_own
    WHERE t.community_id = $1
),
lines AS (
    SELECT i.transaction_id,
           sum(coalesce(i.price_current, i.price_sell, 0) * i.quantity) AS list_value,
           sum(
               coalesce(
                   (SELECT sum((d ->> 'amount')::numeric) FROM jsonb_array_elements(i.discounts) AS d), 0
               )
           ) AS discount,
           array_agg(DISTINCT ROW(i.product_id, i.brand)::text)
               FILTER (WHERE i.product_id IS NOT NULL OR i.brand IS NOT NULL) AS sold
    FROM transaction_items AS i
    WHERE i.community_id = $1 AND NOT i.is_void AND i.quantity > 0
    GROUP BY i.transaction_id
),
checked AS (
    SELECT 'transaction ' || id AS key, 'amount' AS name, amount::text AS stored,
           -- Half-even: the even neighbour where both are equally near.
           trim_scale(CASE WHEN abs(minor - trunc(minor)) = 0.5
                           THEN 2 * round(minor / 2)
                           ELSE round(minor) END)::text AS recomputed
    FROM scaled
    UNION ALL
    SELECT 'transaction ' || id, 'direction', direction::text, sign(total)::int::text FROM scaled
    UNION ALL
    SELECT 'transaction ' || id, 'transacted_on', transacted_on::text, (transacted_at AT TIME ZONE timezone)::date::text
    FROM scaled
    UNION ALL
    SELECT 'transaction ' || s.id, 'list_value', trim_scale(s.list_value)::text, trim_scale(lines.list_value * s.rate)::text
    FROM scaled AS s
    LEFT JOIN lines ON lines.transaction_id = s.id
    UNION ALL
    SELECT 'transaction ' || s.id, 'discount', trim_scale(s.discount)::text, trim_scale(lines.discount * s.rate)::text
    FROM scaled AS s
    LEFT JOIN lines ON lines.transaction_id = s.id
    UNION ALL
    SELECT 'transaction ' || id, 'channels', channels::text,
           nullif(
               CASE WHEN 'pos' = ANY (lower(systems::text)::text[]) THEN 1 ELSE 0 END
                   + CASE WHEN 'web' = ANY (lower(systems::text)::text[]) THEN 2 ELSE 0 END,
               0
           )::text
    FROM scaled
    UNION ALL
    SELECT 'transaction ' || s.id, 'sold', stored.sold::text, lines.sold::text
    FROM scaled AS s
    LEFT JOIN lines ON lines.transaction_id = s.id
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT ROW(pair.product_id, pair.brand)::text) AS sold
        FROM unnest(s.item_product_ids, s.item_brands) AS pair (product_id, brand)
    ) AS stored
    WHERE NOT s.items_overflow
    UNION ALL
    SELECT 'transaction ' || s.id, 'profile_id', s.profile_id::text, NULL
    FROM scaled AS s
    WHERE s.profile_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM profiles AS p WHERE p.community_id = $1 AND p.profile_id = s.profile_id)
    UNION ALL
    SELECT 'transaction ' || s.id, 'location_id', s.location_id::text, NULL
    FROM scaled AS s
    WHERE s.location_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM locations AS l WHERE l.community_id = $1 AND l.id = s.location_id)
    UNION ALL
    SELECT 'item ' || i.id, 'transaction_id', i.transaction_id::text, NULL
    FROM transaction_items AS i
    WHERE i.community_id = $1
      AND NOT EXISTS (SELECT FROM transactions AS t WHERE t.community_id = $1 AND t.id = i.transaction_id)
    UNION ALL
    SELECT 'address ' || a.id, 'profile_id', a.profile_id::text, NULL
    FROM addresses AS a
    WHERE a.community_id = $1
      AND NOT EXISTS (SELECT FROM profiles AS p WHERE p.community_id = $1 AND p.profile_id = a.profile_id)
    UNION ALL
    SELECT 'claim ' || c.id, 'transaction_id', c.transaction_id::text, NULL
    FROM transaction_claims AS c
    WHERE c.community_id = $1
      AND c.transaction_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM transactions AS t WHERE t.community_id = $1 AND t.id = c.transaction_id)
    UNION ALL
    SELECT 'profile ' || a.profile_id, 'aggregations', 'a row', NULL
    FROM profile_aggregations AS a
    WHERE a.community_id = $1
      AND NOT EXISTS (
          SELECT FROM profiles AS p
          WHERE p.community_id = $1 AND p.profile_id = a.profile_id AND p.deleted_at IS NULL
      )
)
SELECT key, name, stored, recomputed
FROM checked
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
