-- Compiled from declarations with the digest 95db300a76b9e1bd; see compiled_values.py
WITH -- $1 is the community, $2 are profiles, $3 is the instant for each of them.
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
),
last_12m AS (
    SELECT
      history.k,
      history.amount,
      history.is_sale,
      history.location_id
    FROM history
    JOIN (
      SELECT
        k,
        MAX(transacted_at) AS last_at
      FROM history
      GROUP BY
        k
    ) AS recalculations
      ON recalculations.k = history.k
    WHERE
      recalculations.last_at < (
        history.transacted_at + INTERVAL '12 MONTHS'
      )
),
days AS (
    SELECT
      k,
      transacted_on,
      net,
      LAG(transacted_on) OVER (PARTITION BY k ORDER BY transacted_on) AS earlier,
      LEAD(transacted_on) OVER (PARTITION BY k ORDER BY transacted_on) AS later
    FROM (
      SELECT
        k,
        transacted_on,
        SUM(amount) AS net
      FROM history
      GROUP BY
        k,
        transacted_on
      HAVING
        BOOL_OR(is_sale)
    ) AS dated
),
places AS (
    SELECT
      visits.k,
      visits.location_id,
      sales,
      sales_24m,
      net,
      locations.external_id,
      locations.country,
      locations.iso_state,
      locations.state,
      (
        ROW_NUMBER() OVER (
          PARTITION BY visits.k
          ORDER BY last_sale_at NULLS FIRST, locations.external_id DESC, visits.location_id DESC
        )
      ) AS store_rank
    FROM (
      SELECT
        k,
        location_id,
        COUNT(*) FILTER(WHERE
          is_sale) AS sales,
        COUNT(*) FILTER(WHERE
          is_sale AND within_24m) AS sales_24m,
        SUM(amount) AS net,
        MAX(transacted_at) FILTER(WHERE
          is_sale) AS last_sale_at
      FROM history
      WHERE
        location_id IS NOT NULL AND has_amount
      GROUP BY
        k,
        location_id
    ) AS visits
    JOIN locations
      ON locations.location_id = visits.location_id
),
places_12m AS (
    SELECT
      spent.k,
      spent.location_id,
      spent.net_12m,
      places.store_rank
    FROM (
      SELECT
        k,
        location_id,
        SUM(amount) AS net_12m
      FROM last_12m
      WHERE
        location_id IS NOT NULL
      GROUP BY
        k,
        location_id
    ) AS spent
    JOIN places
      ON places.k = spent.k AND places.location_id = spent.location_id
),
votes AS (
    SELECT
      k,
      1 AS source,
      sales_24m AS n,
      country,
      iso_state,
      state
    FROM places
    WHERE
      sales_24m > 0 AND country IS NOT NULL
    UNION ALL
    SELECT
      named.k,
      2,
      1,
      locations.country,
      locations.iso_state,
      locations.state
    FROM (
      SELECT
        k,
        joined_location_id AS location_id
      FROM member
      UNION ALL
      SELECT
        k,
        preferred_location_id
      FROM member
    ) AS named
    JOIN locations
      ON locations.location_id = named.location_id
    WHERE
      locations.country IS NOT NULL
    UNION ALL
    SELECT
      k,
      3,
      CASE WHEN is_default THEN 2 ELSE 1 END,
      country,
      iso_state,
      state
    FROM addresses
    WHERE
      country IS NOT NULL
),
countries AS (
    SELECT DISTINCT ON (k)
      k,
      place AS winner,
      CASE
        WHEN 4 * votes >= 3 * total_votes
        THEN 1
        WHEN 2 * votes >= total_votes
        THEN 2
        WHEN 4 * votes >= total_votes
        THEN 3
        ELSE 4
      END AS score
    FROM (
      SELECT
        k,
        place,
        4 * sale_votes * GREATEST(addresses_total, 1) + 2 * named * GREATEST(sales_total, 1) * GREATEST(addresses_total, 1) + 2 * address_votes * GREATEST(sales_total, 1) AS votes,
        GREATEST(sales_total, 1) * GREATEST(addresses_total, 1) * (
          CASE WHEN sales_total > 0 THEN 4 ELSE 0 END + 2 * references_total + CASE WHEN addresses_total > 0 THEN 2 ELSE 0 END
        ) AS total_votes
      FROM (
        SELECT
          k,
          place,
          sale_votes,
          named,
          address_votes,
          CAST(SUM(sale_votes) OVER (PARTITION BY k) AS BIGINT) AS sales_total,
          CAST(SUM(named) OVER (PARTITION BY k) AS BIGINT) AS references_total,
          CAST(SUM(address_votes) OVER (PARTITION BY k) AS BIGINT) AS addresses_total
        FROM (
          SELECT
            k,
            place,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 1), 0) AS BIGINT) AS sale_votes,
            COUNT(*) FILTER(WHERE
              source = 2) AS named,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 3), 0) AS BIGINT) AS address_votes
          FROM (
            SELECT
              k,
              country AS place,
              source,
              n
            FROM votes
          ) AS voters
          GROUP BY
            k,
            place
        ) AS votes_by_place
      ) AS compared
    ) AS counted
    ORDER BY
      k,
      votes DESC,
      place
),
states AS (
    SELECT DISTINCT ON (k, level)
      k,
      level,
      place AS winner,
      CASE
        WHEN 4 * votes >= 3 * total_votes
        THEN 1
        WHEN 2 * votes >= total_votes
        THEN 2
        WHEN 4 * votes >= total_votes
        THEN 3
        ELSE 4
      END AS score
    FROM (
      SELECT
        k,
        level,
        place,
        4 * sale_votes * GREATEST(addresses_total, 1) + 2 * named * GREATEST(sales_total, 1) * GREATEST(addresses_total, 1) + 2 * address_votes * GREATEST(sales_total, 1) AS votes,
        GREATEST(sales_total, 1) * GREATEST(addresses_total, 1) * (
          CASE WHEN sales_total > 0 THEN 4 ELSE 0 END + 2 * references_total + CASE WHEN addresses_total > 0 THEN 2 ELSE 0 END
        ) AS total_votes
      FROM (
        SELECT
          k,
          level,
          place,
          sale_votes,
          named,
          address_votes,
          CAST(SUM(sale_votes) OVER (PARTITION BY k, level) AS BIGINT) AS sales_total,
          CAST(SUM(named) OVER (PARTITION BY k, level) AS BIGINT) AS references_total,
          CAST(SUM(address_votes) OVER (PARTITION BY k, level) AS BIGINT) AS addresses_total
        FROM (
          SELECT
            k,
            level,
            place,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 1), 0) AS BIGINT) AS sale_votes,
            COUNT(*) FILTER(WHERE
              source = 2) AS named,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 3), 0) AS BIGINT) AS address_votes
          FROM (
            SELECT
              k,
              level,
              CASE level WHEN 1 THEN iso_state ELSE state END AS place,
              source,
              n
            FROM (
              SELECT
                votes.k,
                votes.iso_state,
                votes.state,
                votes.source,
                votes.n
              FROM votes
              JOIN countries
                ON countries.k = votes.k AND countries.winner = votes.country
              WHERE
                votes.iso_state IS NOT NULL OR votes.state IS NOT NULL
            ) AS within
            CROSS JOIN (
              SELECT
                1 AS level
              UNION ALL
              SELECT
                2
            ) AS levels
            WHERE
              CASE level WHEN 1 THEN iso_state ELSE state END IS NOT NULL
          ) AS voters
          GROUP BY
            k,
            level,
            place
        ) AS votes_by_place
      ) AS compared
    ) AS counted
    ORDER BY
      k,
      level,
      votes DESC,
      place
),
by_last_12m AS (
    SELECT k,
           COUNT(*) FILTER(WHERE
             is_sale) AS sales_12m,
           SUM(amount) AS spend_12m
    FROM last_12m
    GROUP BY k
),
by_history AS (
    SELECT k,
           SUM(discount) FILTER(WHERE
             is_sale) AS discount_total,
           SUM(list_value) FILTER(WHERE
             is_sale) AS list_price_total,
           MAX(transacted_at) FILTER(WHERE
             is_sale) AS last_sale_at,
           COUNT(*) FILTER(WHERE
             is_sale AND within_24m) AS sales_24m,
           SUM(amount) AS spend_all,
           MIN(transacted_at) AS spend_first_date,
           MAX(transacted_at) AS spend_last_date,
           CASE BIT_OR(channels) FILTER(WHERE
               is_sale)
             WHEN 1
             THEN 'CF'
             WHEN 2
             THEN 'CO'
             WHEN 3
             THEN 'CM'
           END AS channel,
           COUNT(*) FILTER(WHERE
             is_sale) AS shop_count,
           (
             MIN(n * 4294967296 + location_id) FILTER(WHERE
               is_sale AND location_id IS NOT NULL) & 4294967295
           ) AS store_join,
           SUM(amount) FILTER(WHERE
             within_12m) AS spend_12m_now,
           (
             MAX(n * 4294967296 + location_id) FILTER(WHERE
               is_sale AND location_id IS NOT NULL) & 4294967295
           ) AS latest_transacted_location,
           MIN((
             transacted_at + INTERVAL '24 MONTHS'
           )) FILTER(WHERE
             is_sale AND within_24m) AS sale_leaves_24m_window,
           MIN((
             transacted_at + INTERVAL '12 MONTHS'
           )) FILTER(WHERE
             within_12m) AS leaves_12m_window
    FROM history
    GROUP BY k
),
by_places AS (
    SELECT k,
           (
             (
               MAX(ARRAY[CAST(sales_24m AS BIGINT), store_rank, location_id]) FILTER(WHERE
                 sales_24m > 0)
             )[3]
           ) AS favourite_24m,
           (
             (
               MAX(ARRAY[CAST(sales AS BIGINT), store_rank, location_id]) FILTER(WHERE
                 sales > 0)
             )[3]
           ) AS favourite_all,
           (
             (
               MAX(ARRAY[CAST(net AS BIGINT), store_rank, location_id]) FILTER(WHERE
                 net > 0)
             )[3]
           ) AS most_spend_location,
           (
             ARRAY_AGG(location_id ORDER BY external_id, location_id) FILTER(WHERE
               sales > 0)
           ) AS transacted_locations
    FROM places
    GROUP BY k
),
by_countries AS (
    SELECT k,
           MIN(winner) AS likely_country,
           MIN(score) AS likely_country_score
    FROM countries
    GROUP BY k
),
by_sold AS (
    SELECT k,
           (
             ARRAY_AGG(DISTINCT brand ORDER BY brand)
           ) AS purchased_brands
    FROM sold
    GROUP BY k
),
by_days AS (
    SELECT k,
           MIN(transacted_on) AS first_shop_date,
           (
             MIN(later)
           ) AS second_shop_date,
           (
             MAX(earlier)
           ) AS previous_shop_date,
           MAX(transacted_on) AS latest_shop_date,
           COUNT(*) AS total_shop_days,
           (
             MIN(net) FILTER(WHERE
               later IS NULL)
           ) AS latest_shop_spend
    FROM days
    GROUP BY k
),
by_places_12m AS (
    SELECT k,
           (
             (
               MAX(ARRAY[CAST(net_12m AS BIGINT), store_rank, location_id]) FILTER(WHERE
                 net_12m > 0)
             )[3]
           ) AS most_spend_12m_location
    FROM places_12m
    GROUP BY k
),
by_states AS (
    SELECT k,
           MIN(winner) FILTER(WHERE
             level = 1) AS likely_state_iso,
           MIN(score) FILTER(WHERE
             level = 1) AS likely_state_iso_score,
           MIN(winner) FILTER(WHERE
             level = 2) AS likely_region,
           MIN(score) FILTER(WHERE
             level = 2) AS likely_region_score
    FROM states
    GROUP BY k
),
measured AS (
    SELECT member.*,
           by_last_12m.sales_12m,
           by_history.discount_total,
           by_history.list_price_total,
           by_history.last_sale_at,
           by_history.sales_24m,
           by_places.favourite_24m,
           by_places.favourite_all,
           coalesce(by_last_12m.spend_12m, 0) AS spend_12m,
           coalesce(by_history.spend_all, 0) AS spend_all,
           by_history.spend_first_date,
           by_history.spend_last_date,
           by_history.channel,
           coalesce(by_history.shop_count, 0) AS shop_count,
           by_history.store_join,
           by_countries.likely_country,
           by_countries.likely_country_score,
           coalesce(by_sold.purchased_brands, (
             CAST('{}' AS TEXT[])
           )) AS purchased_brands,
           coalesce(by_history.spend_12m_now, 0) AS spend_12m_now,
           by_days.first_shop_date,
           by_days.second_shop_date,
           by_days.previous_shop_date,
           by_days.latest_shop_date,
           coalesce(by_days.total_shop_days, 0) AS total_shop_days,
           by_days.latest_shop_spend,
           by_history.latest_transacted_location,
           by_places.most_spend_location,
           by_places_12m.most_spend_12m_location,
           coalesce(by_places.transacted_locations, (
             CAST('{}' AS BIGINT[])
           )) AS transacted_locations,
           by_states.likely_state_iso,
           by_states.likely_state_iso_score,
           by_states.likely_region,
           by_states.likely_region_score,
           by_history.sale_leaves_24m_window,
           by_history.leaves_12m_window
    FROM member
    LEFT JOIN by_last_12m ON by_last_12m.k = member.k
    LEFT JOIN by_history ON by_history.k = member.k
    LEFT JOIN by_places ON by_places.k = member.k
    LEFT JOIN by_countries ON by_countries.k = member.k
    LEFT JOIN by_sold ON by_sold.k = member.k
    LEFT JOIN by_days ON by_days.k = member.k
    LEFT JOIN by_places_12m ON by_places_12m.k = member.k
    LEFT JOIN by_states ON by_states.k = member.k
),
layer_1 AS (
    SELECT measured.*,
           CASE
             WHEN total_shop_days > 1
             THEN (
               (
                 2 * (
                   (
                     latest_shop_date - first_shop_date
                   )
                 ) + (
                   total_shop_days - 1
                 )
               ) / (
                 2 * (
                   total_shop_days - 1
                 )
               )
             )
           END AS shop_days,
           (
             (
               SELECT
                 quotient + CASE
                   WHEN 2 * ABS(remainder) > ABS(divisor)
                   OR (
                     2 * ABS(remainder) = ABS(divisor) AND quotient % 2 <> 0
                   )
                   THEN SIGN(remainder) * SIGN(divisor)
                   ELSE 0
                 END
               FROM (
                 SELECT
                   DIV(dividend, divisor) AS quotient,
                   dividend - divisor * DIV(dividend, divisor) AS remainder,
                   divisor
                 FROM (
                   SELECT
                     CAST(spend_12m AS DECIMAL) AS dividend,
                     CAST(NULLIF(sales_12m, 0) AS DECIMAL) AS divisor
                 ) AS operands
               ) AS parts
             )
           ) AS spend_atv_12m,
           (
             (
               SELECT
                 quotient + CASE
                   WHEN 2 * ABS(remainder) > ABS(divisor)
                   OR (
                     2 * ABS(remainder) = ABS(divisor) AND quotient % 2 <> 0
                   )
                   THEN SIGN(remainder) * SIGN(divisor)
                   ELSE 0
                 END
               FROM (
                 SELECT
                   DIV(dividend, divisor) AS quotient,
                   dividend - divisor * DIV(dividend, divisor) AS remainder,
                   divisor
                 FROM (
                   SELECT
                     CAST(spend_all AS DECIMAL) AS dividend,
                     CAST(NULLIF(shop_count, 0) AS DECIMAL) AS divisor
                 ) AS operands
               ) AS parts
             )
           ) AS spend_atv_all,
           CASE
             WHEN shop_count = 0
             THEN 'F0'
             WHEN shop_count = 1
             THEN 'F1'
             WHEN shop_count = 2
             THEN 'F2'
             WHEN (
               latest_shop_date - first_shop_date
             ) > 30 * (
               total_shop_days - 1
             )
             THEN 'FL'
             ELSE 'FH'
           END AS dimension_frequency,
           CASE
             WHEN last_sale_at IS NULL
             THEN 'R0'
             WHEN (
               as_of < last_sale_at + INTERVAL '3 MONTHS'
             )
             THEN 'RC'
             WHEN (
               as_of < last_sale_at + INTERVAL '6 MONTHS'
             )
             THEN 'RS'
             WHEN (
               as_of < last_sale_at + INTERVAL '12 MONTHS'
             )
             THEN 'RA'
             ELSE 'RI'
           END AS dimension_recency,
           CASE
             WHEN joined_on IS NULL
             THEN NULL
             WHEN (
               today - joined_on
             ) <= 90
             THEN 'JN'
             WHEN (
               today - joined_on
             ) <= 365
             THEN 'JC'
             ELSE 'J' || CAST((
               (
                 (
                   today - joined_on
                 ) - 1
               ) / (
                 365
               )
             ) AS TEXT)
           END AS dimension_join,
           CASE WHEN sales_24m > 0 THEN favourite_24m ELSE favourite_all END AS most_transacted_location,
           (
             (
               SELECT
                 quotient + CASE
                   WHEN 2 * ABS(remainder) > ABS(divisor)
                   OR (
                     2 * ABS(remainder) = ABS(divisor) AND quotient % 2 <> 0
                   )
                   THEN SIGN(remainder) * SIGN(divisor)
                   ELSE 0
                 END
               FROM (
                 SELECT
                   DIV(dividend, divisor) AS quotient,
                   dividend - divisor * DIV(dividend, divisor) AS remainder,
                   divisor
                 FROM (
                   SELECT
                     CAST(discount_total * 10000 AS DECIMAL) AS dividend,
                     CAST(NULLIF(list_price_total, 0) AS DECIMAL) AS divisor
                 ) AS operands
               ) AS parts
             )
           ) AS discount_avg,
           CASE
             WHEN first_shop_date < joined_on
             THEN 0
             ELSE (
               first_shop_date - joined_on
             )
           END AS first_shop_days,
           (
             second_shop_date - first_shop_date
           ) AS second_shop_days,
           (
             latest_shop_date - previous_shop_date
           ) AS latest_shop_days,
           CASE
             WHEN total_shop_days > 2
             THEN (
               (
                 2 * (
                   (
                     latest_shop_date - first_shop_date
                   )
                 ) + (
                   total_shop_days
                 )
               ) / (
                 2 * (
                   total_shop_days
                 )
               )
             )
           END AS average_shop_days,
           CASE WHEN latest_shop_date IS NOT NULL THEN currency END AS latest_shop_currency,
           (
             CAST(EXTRACT(HOUR FROM joined_at) AS BIGINT)
           ) AS join_hour,
           CASE (
               CAST(EXTRACT(ISODOW FROM joined_at) AS BIGINT)
             )
             WHEN 1
             THEN 'MON'
             WHEN 2
             THEN 'TUE'
             WHEN 3
             THEN 'WED'
             WHEN 4
             THEN 'THU'
             WHEN 5
             THEN 'FRI'
             WHEN 6
             THEN 'SAT'
             WHEN 7
             THEN 'SUN'
           END AS join_day,
           likely_country AS likely_country_iso,
           likely_country_score AS likely_country_iso_score
    FROM measured
),
layer_2 AS (
    SELECT layer_1.*,
           (
             latest_shop_date + CAST(3 * average_shop_days AS INT)
           ) AS at_risk_date
    FROM layer_1
)
SELECT k, profile_id, as_of AS calculated_at,
       least(
           next_future_at,
           CASE
             WHEN (
               as_of < last_sale_at + INTERVAL '3 MONTHS'
             )
             THEN (
               last_sale_at + INTERVAL '3 MONTHS'
             )
             WHEN (
               as_of < last_sale_at + INTERVAL '6 MONTHS'
             )
             THEN (
               last_sale_at + INTERVAL '6 MONTHS'
             )
             WHEN (
               as_of < last_sale_at + INTERVAL '12 MONTHS'
             )
             THEN (
               last_sale_at + INTERVAL '12 MONTHS'
             )
           END,
           (
             (
               SELECT
                 CASE
                   WHEN (
                     midnight - INTERVAL '1 HOUR'
                   ) AT TIME ZONE zone >= day
                   THEN midnight - INTERVAL '1 HOUR'
                   ELSE midnight
                 END
               FROM (
                 SELECT
                   CAST(day AS TIMESTAMP) AT TIME ZONE zone AS midnight,
                   day
                 FROM (
                   SELECT
                     CASE
                       WHEN (
                         today - joined_on
                       ) <= 90
                       THEN (
                         joined_on + CAST(91 AS INT)
                       )
                       WHEN (
                         today - joined_on
                       ) <= 365
                       THEN (
                         joined_on + CAST(366 AS INT)
                       )
                       ELSE (
                         joined_on + CAST(365 * (
                           (
                             (
                               (
                                 today - joined_on
                               ) - 1
                             ) / (
                               365
                             )
                           ) + 1
                         ) + 1 AS INT)
                       )
                     END AS day
                 ) AS input
               ) AS midnights
             )
           ),
           sale_leaves_24m_window,
           leaves_12m_window
       ) AS next_change_at,
       values_version,
       CAST(shop_days AS BIGINT) AS shop_days,
       CAST(spend_12m AS BIGINT) AS spend_12m,
       CAST(spend_all AS BIGINT) AS spend_all,
       CAST(spend_atv_12m AS BIGINT) AS spend_atv_12m,
       CAST(spend_atv_all AS BIGINT) AS spend_atv_all,
       CAST(spend_first_date AS TIMESTAMPTZ) AS spend_first_date,
       CAST(spend_last_date AS TIMESTAMPTZ) AS spend_last_date,
       CAST(dimension_frequency AS TEXT) AS dimension_frequency,
       CAST(dimension_recency AS TEXT) AS dimension_recency,
       CAST(dimension_join AS TEXT) AS dimension_join,
       CAST(channel AS TEXT) AS channel,
       CAST(shop_count AS BIGINT) AS shop_count,
       CAST(store_join AS BIGINT) AS store_join,
       CAST(likely_country AS TEXT) AS likely_country,
       CAST(likely_country_score AS BIGINT) AS likely_country_score,
       CAST(purchased_brands AS TEXT[]) AS purchased_brands,
       CAST(most_transacted_location AS BIGINT) AS most_transacted_location,
       CAST(spend_12m_now AS BIGINT) AS spend_12m_now,
       CAST(discount_avg AS DECIMAL) AS discount_avg,
       CAST(first_shop_date AS DATE) AS first_shop_date,
       CAST(second_shop_date AS DATE) AS second_shop_date,
       CAST(previous_shop_date AS DATE) AS previous_shop_date,
       CAST(latest_shop_date AS DATE) AS latest_shop_date,
       CAST(first_shop_days AS BIGINT) AS first_shop_days,
       CAST(second_shop_days AS BIGINT) AS second_shop_days,
       CAST(latest_shop_days AS BIGINT) AS latest_shop_days,
       CAST(average_shop_days AS BIGINT) AS average_shop_days,
       CAST(total_shop_days AS BIGINT) AS total_shop_days,
       CAST(at_risk_date AS DATE) AS at_risk_date,
       CAST(latest_shop_spend AS BIGINT) AS latest_shop_spend,
       CAST(latest_shop_currency AS TEXT) AS latest_shop_currency,
       CAST(join_hour AS BIGINT) AS join_hour,
       CAST(join_day AS TEXT) AS join_day,
       CAST(latest_transacted_location AS BIGINT) AS latest_transacted_location,
       CAST(most_spend_location AS BIGINT) AS most_spend_location,
       CAST(most_spend_12m_location AS BIGINT) AS most_spend_12m_location,
       CAST(transacted_locations AS BIGINT[]) AS transacted_locations,
       CAST(likely_country_iso AS TEXT) AS likely_country_iso,
       CAST(likely_country_iso_score AS BIGINT) AS likely_country_iso_score,
       CAST(likely_state_iso AS TEXT) AS likely_state_iso,
       CAST(likely_state_iso_score AS BIGINT) AS likely_state_iso_score,
       CAST(likely_region AS TEXT) AS likely_region,
       CAST(likely_region_score AS BIGINT) AS likely_region_score
FROM layer_2