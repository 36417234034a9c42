-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/aggregations/test_compiler.py

-- relation last_12m
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
    history.transacted_at + INTERVAL '12' MONTHS
  );

-- relation days
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
    BOOL_OR(CAST(is_sale AS BOOLEAN))
) AS dated;

-- relation places
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
    CAST(COALESCE(EPOCH_US(last_sale_at) + 2300000000000000, 0) AS INT128) * 1048576 + locations.reverse_rank
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
  ON locations.location_id = visits.location_id;

-- relation places_12m
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
  ON places.k = spent.k AND places.location_id = spent.location_id;

-- relation votes
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
  country IS NOT NULL;

-- relation countries
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
  votes DESC NULLS FIRST,
  place;

-- relation states
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
  votes DESC NULLS FIRST,
  place;

-- measure sales_12m
COUNT(*) FILTER(WHERE
  is_sale);

-- measure discount_total
SUM(discount) FILTER(WHERE
  is_sale);

-- measure list_price_total
SUM(list_value) FILTER(WHERE
  is_sale);

-- measure last_sale_at
MAX(transacted_at) FILTER(WHERE
  is_sale);

-- measure sales_24m
COUNT(*) FILTER(WHERE
  is_sale AND within_24m);

-- measure favourite_24m
(
  (
    SELECT
      ARRAY_AGG(location_id ORDER BY reverse_rank)
    FROM locations
  )[CAST(MAX(CAST(sales_24m AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
    sales_24m > 0) & 1048575 AS INT) + 0]
);

-- measure favourite_all
(
  (
    SELECT
      ARRAY_AGG(location_id ORDER BY reverse_rank)
    FROM locations
  )[CAST(MAX(CAST(sales AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
    sales > 0) & 1048575 AS INT) + 0]
);

-- change next_future_fact
next_future_at;

-- change recency_drops
CASE
  WHEN (
    as_of < last_sale_at + INTERVAL '3' MONTHS
  )
  THEN (
    last_sale_at + INTERVAL '3' MONTHS
  )
  WHEN (
    as_of < last_sale_at + INTERVAL '6' MONTHS
  )
  THEN (
    last_sale_at + INTERVAL '6' MONTHS
  )
  WHEN (
    as_of < last_sale_at + INTERVAL '12' MONTHS
  )
  THEN (
    last_sale_at + INTERVAL '12' MONTHS
  )
END;

-- change join_age_step
(
  INSTANT_OF(
    CAST(CASE
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
            ) // (
              365
            )
          ) + 1
        ) + 1 AS INT)
      )
    END AS TIMESTAMP),
    zone
  )
);

-- change sale_leaves_24m_window
MIN((
  transacted_at + INTERVAL '24' MONTHS
)) FILTER(WHERE
  is_sale AND within_24m);

-- change leaves_12m_window
MIN((
  transacted_at + INTERVAL '12' MONTHS
)) FILTER(WHERE
  within_12m);

-- aggregation shop_days
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
    ) // (
      2 * (
        total_shop_days - 1
      )
    )
  )
END;

-- aggregation spend_12m
SUM(amount);

-- aggregation spend_all
SUM(amount);

-- aggregation spend_atv_12m
(
  (
    (
      spend_12m
    ) // NULLIF(sales_12m, 0)
  ) + CASE
    WHEN 2 * ABS(
      (
        (
          spend_12m
        ) - NULLIF(sales_12m, 0) * (
          (
            spend_12m
          ) // NULLIF(sales_12m, 0)
        )
      )
    ) > ABS(NULLIF(sales_12m, 0))
    OR (
      2 * ABS(
        (
          (
            spend_12m
          ) - NULLIF(sales_12m, 0) * (
            (
              spend_12m
            ) // NULLIF(sales_12m, 0)
          )
        )
      ) = ABS(NULLIF(sales_12m, 0))
      AND (
        (
          spend_12m
        ) // NULLIF(sales_12m, 0)
      ) % 2 <> 0
    )
    THEN CASE
      WHEN (
        (
          spend_12m
        ) < 0
      ) = (
        NULLIF(sales_12m, 0) < 0
      )
      THEN 1
      ELSE -1
    END
    ELSE 0
  END
);

-- aggregation spend_atv_all
(
  (
    (
      spend_all
    ) // NULLIF(shop_count, 0)
  ) + CASE
    WHEN 2 * ABS(
      (
        (
          spend_all
        ) - NULLIF(shop_count, 0) * (
          (
            spend_all
          ) // NULLIF(shop_count, 0)
        )
      )
    ) > ABS(NULLIF(shop_count, 0))
    OR (
      2 * ABS(
        (
          (
            spend_all
          ) - NULLIF(shop_count, 0) * (
            (
              spend_all
            ) // NULLIF(shop_count, 0)
          )
        )
      ) = ABS(NULLIF(shop_count, 0))
      AND (
        (
          spend_all
        ) // NULLIF(shop_count, 0)
      ) % 2 <> 0
    )
    THEN CASE
      WHEN (
        (
          spend_all
        ) < 0
      ) = (
        NULLIF(shop_count, 0) < 0
      )
      THEN 1
      ELSE -1
    END
    ELSE 0
  END
);

-- aggregation spend_first_date
MIN(transacted_at);

-- aggregation spend_last_date
MAX(transacted_at);

-- aggregation dimension_frequency
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
END;

-- aggregation dimension_recency
CASE
  WHEN last_sale_at IS NULL
  THEN 'R0'
  WHEN (
    as_of < last_sale_at + INTERVAL '3' MONTHS
  )
  THEN 'RC'
  WHEN (
    as_of < last_sale_at + INTERVAL '6' MONTHS
  )
  THEN 'RS'
  WHEN (
    as_of < last_sale_at + INTERVAL '12' MONTHS
  )
  THEN 'RA'
  ELSE 'RI'
END;

-- aggregation dimension_join
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
    ) // (
      365
    )
  ) AS TEXT)
END;

-- aggregation channel
CASE BIT_OR(channels) FILTER(WHERE
    is_sale)
  WHEN 1
  THEN 'CF'
  WHEN 2
  THEN 'CO'
  WHEN 3
  THEN 'CM'
END;

-- aggregation shop_count
COUNT(*) FILTER(WHERE
  is_sale);

-- aggregation store_join
(
  MIN(n * 4294967296 + location_id) FILTER(WHERE
    is_sale AND NOT location_id IS NULL) & 4294967295
);

-- aggregation likely_country
MIN(winner);

-- aggregation likely_country_score
MIN(score);

-- aggregation purchased_brands
(
  LIST_SORT(ARRAY_AGG(DISTINCT brand))
);

-- aggregation most_transacted_location
CASE WHEN sales_24m > 0 THEN favourite_24m ELSE favourite_all END;

-- aggregation spend_12m_now
SUM(amount) FILTER(WHERE
  within_12m);

-- aggregation discount_avg
(
  (
    (
      discount_total * 10000
    ) // NULLIF(list_price_total, 0)
  ) + CASE
    WHEN 2 * ABS(
      (
        (
          discount_total * 10000
        ) - NULLIF(list_price_total, 0) * (
          (
            discount_total * 10000
          ) // NULLIF(list_price_total, 0)
        )
      )
    ) > ABS(NULLIF(list_price_total, 0))
    OR (
      2 * ABS(
        (
          (
            discount_total * 10000
          ) - NULLIF(list_price_total, 0) * (
            (
              discount_total * 10000
            ) // NULLIF(list_price_total, 0)
          )
        )
      ) = ABS(NULLIF(list_price_total, 0))
      AND (
        (
          discount_total * 10000
        ) // NULLIF(list_price_total, 0)
      ) % 2 <> 0
    )
    THEN CASE
      WHEN (
        (
          discount_total * 10000
        ) < 0
      ) = (
        NULLIF(list_price_total, 0) < 0
      )
      THEN 1
      ELSE -1
    END
    ELSE 0
  END
);

-- aggregation first_shop_date
MIN(transacted_on);

-- aggregation second_shop_date
(
  LIST_EXTRACT(MIN(transacted_on, 2), 2)
);

-- aggregation previous_shop_date
(
  LIST_EXTRACT(MAX(transacted_on, 2), 2)
);

-- aggregation latest_shop_date
MAX(transacted_on);

-- aggregation first_shop_days
CASE
  WHEN first_shop_date < joined_on
  THEN 0
  ELSE (
    first_shop_date - joined_on
  )
END;

-- aggregation second_shop_days
(
  second_shop_date - first_shop_date
);

-- aggregation latest_shop_days
(
  latest_shop_date - previous_shop_date
);

-- aggregation average_shop_days
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
    ) // (
      2 * (
        total_shop_days
      )
    )
  )
END;

-- aggregation total_shop_days
COUNT(*);

-- aggregation at_risk_date
(
  latest_shop_date + CAST(3 * average_shop_days AS INT)
);

-- aggregation latest_shop_spend
(
  MIN(net) FILTER(WHERE
    later IS NULL)
);

-- aggregation latest_shop_currency
CASE WHEN latest_shop_date IS NOT NULL THEN currency END;

-- aggregation join_hour
(
  CAST(EXTRACT(HOUR FROM joined_at) AS BIGINT)
);

-- aggregation join_day
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
END;

-- aggregation latest_transacted_location
(
  MAX(n * 4294967296 + location_id) FILTER(WHERE
    is_sale AND NOT location_id IS NULL) & 4294967295
);

-- aggregation most_spend_location
(
  (
    SELECT
      ARRAY_AGG(location_id ORDER BY reverse_rank)
    FROM locations
  )[CAST(MAX(CAST(net AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
    net > 0) & 1048575 AS INT) + 0]
);

-- aggregation most_spend_12m_location
(
  (
    SELECT
      ARRAY_AGG(location_id ORDER BY reverse_rank)
    FROM locations
  )[CAST(MAX(CAST(net_12m AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
    net_12m > 0) & 1048575 AS INT) + 0]
);

-- aggregation transacted_locations
(
  ARRAY_AGG(location_id ORDER BY external_id, location_id) FILTER(WHERE
    sales > 0)
);

-- aggregation likely_country_iso
likely_country;

-- aggregation likely_country_iso_score
likely_country_score;

-- aggregation likely_state_iso
MIN(winner) FILTER(WHERE
  level = 1);

-- aggregation likely_state_iso_score
MIN(score) FILTER(WHERE
  level = 1);

-- aggregation likely_region
MIN(winner) FILTER(WHERE
  level = 2);

-- aggregation likely_region_score
MIN(score) FILTER(WHERE
  level = 2);

-- all of them
WITH locations AS (
    SELECT
      location_id,
      external_id,
      country,
      iso_state,
      state,
      ROW_NUMBER() OVER (ORDER BY external_id DESC NULLS FIRST, location_id DESC NULLS FIRST) AS reverse_rank
    FROM fact_locations
),
member AS (
    SELECT
      requested.k,
      requested.profile_id,
      requested.as_of,
      club.zone,
      club.currency,
      club.values_version,
      fact.joined_at,
      fact.joined_location_id,
      fact.preferred_location_id,
      (
        CAST(LOCAL_TIME(fact.joined_at, club.zone) AS DATE)
      ) AS joined_on,
      (
        CAST(LOCAL_TIME(requested.as_of, club.zone) AS DATE)
      ) AS today,
      future_transactions.next_future_at
    FROM requested
    CROSS JOIN club
    JOIN fact_profiles AS fact
      ON fact.profile = requested.profile
    LEFT JOIN future_transactions
      ON future_transactions.k = requested.k
),
history AS (
    SELECT
      k,
      n,
      transacted_at,
      external_id,
      id,
      amount,
      transacted_on,
      opens_day,
      location_id,
      channels,
      discount,
      list_value,
      direction = 1 AS is_sale,
      direction <> 0 AS has_amount,
      within_12m,
      within_24m
    FROM requested_transactions
),
sold AS (
    SELECT
      k,
      brand
    FROM requested_lines
),
addresses AS (
    SELECT
      requested.k,
      fact.is_default,
      fact.country,
      fact.iso_state,
      fact.state
    FROM requested
    JOIN fact_addresses AS fact
      ON fact.profile = requested.profile
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
        last_at,
        last_at - INTERVAL '12' MONTHS - INTERVAL '4' DAYS AS before_12m,
        last_at - INTERVAL '12' MONTHS + INTERVAL '4' DAYS AS after_12m
      FROM (
        SELECT
          k,
          MAX(transacted_at) AS last_at
        FROM history
        GROUP BY
          k
      ) AS latest
    ) AS recalculations
      ON recalculations.k = history.k
      AND history.transacted_at > recalculations.before_12m
    WHERE
      CASE
        WHEN history.transacted_at > recalculations.after_12m
        THEN TRUE
        ELSE recalculations.last_at < (
          history.transacted_at + INTERVAL '12' MONTHS
        )
      END
),
days AS (
    SELECT
      k,
      transacted_on
    FROM history
    WHERE
      opens_day
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
        CAST(COALESCE(EPOCH_US(last_sale_at) + 2300000000000000, 0) AS INT128) * 1048576 + locations.reverse_rank
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
          by_place.*,
          totals.sale_votes AS sales_total,
          totals.named AS references_total,
          totals.address_votes AS addresses_total
        FROM (
          SELECT
            k,
            country AS place,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 1), 0) AS BIGINT) AS sale_votes,
            COUNT(*) FILTER(WHERE
              source = 2) AS named,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 3), 0) AS BIGINT) AS address_votes
          FROM votes
          GROUP BY
            k,
            country
        ) AS by_place
        JOIN (
          SELECT
            k,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 1), 0) AS BIGINT) AS sale_votes,
            COUNT(*) FILTER(WHERE
              source = 2) AS named,
            CAST(COALESCE(SUM(n) FILTER(WHERE
              source = 3), 0) AS BIGINT) AS address_votes
          FROM votes
          GROUP BY
            k
        ) AS totals
          ON totals.k = by_place.k
      ) AS compared
    ) AS counted
    ORDER BY
      k,
      votes DESC NULLS FIRST,
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
      votes DESC NULLS FIRST,
      place
),
latest_day AS (
    SELECT
      history.k,
      history.amount
    FROM history
    JOIN (
      SELECT
        k,
        MAX(transacted_on) AS latest_on
      FROM history
      WHERE
        opens_day
      GROUP BY
        k
    ) AS latest
      ON latest.k = history.k AND latest.latest_on = history.transacted_on
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
               is_sale AND NOT location_id IS NULL) & 4294967295
           ) AS store_join,
           SUM(amount) FILTER(WHERE
             within_12m) AS spend_12m_now,
           (
             MAX(n * 4294967296 + location_id) FILTER(WHERE
               is_sale AND NOT location_id IS NULL) & 4294967295
           ) AS latest_transacted_location,
           MIN((
             transacted_at + INTERVAL '24' MONTHS
           )) FILTER(WHERE
             is_sale AND within_24m) AS sale_leaves_24m_window,
           MIN((
             transacted_at + INTERVAL '12' MONTHS
           )) FILTER(WHERE
             within_12m) AS leaves_12m_window
    FROM history
    GROUP BY k
),
by_places AS (
    SELECT k,
           (
             (
               SELECT
                 ARRAY_AGG(location_id ORDER BY reverse_rank)
               FROM locations
             )[CAST(MAX(CAST(sales_24m AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
               sales_24m > 0) & 1048575 AS INT) + 0]
           ) AS favourite_24m,
           (
             (
               SELECT
                 ARRAY_AGG(location_id ORDER BY reverse_rank)
               FROM locations
             )[CAST(MAX(CAST(sales AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
               sales > 0) & 1048575 AS INT) + 0]
           ) AS favourite_all,
           (
             (
               SELECT
                 ARRAY_AGG(location_id ORDER BY reverse_rank)
               FROM locations
             )[CAST(MAX(CAST(net AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
               net > 0) & 1048575 AS INT) + 0]
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
             LIST_SORT(ARRAY_AGG(DISTINCT brand))
           ) AS purchased_brands
    FROM sold
    GROUP BY k
),
by_days AS (
    SELECT k,
           MIN(transacted_on) AS first_shop_date,
           (
             LIST_EXTRACT(MIN(transacted_on, 2), 2)
           ) AS second_shop_date,
           (
             LIST_EXTRACT(MAX(transacted_on, 2), 2)
           ) AS previous_shop_date,
           MAX(transacted_on) AS latest_shop_date,
           COUNT(*) AS total_shop_days
    FROM days
    GROUP BY k
),
by_latest_day AS (
    SELECT k,
           SUM(amount) AS latest_shop_spend
    FROM latest_day
    GROUP BY k
),
by_places_12m AS (
    SELECT k,
           (
             (
               SELECT
                 ARRAY_AGG(location_id ORDER BY reverse_rank)
               FROM locations
             )[CAST(MAX(CAST(net_12m AS INT128) * 37778931862957161709568 + store_rank) FILTER(WHERE
               net_12m > 0) & 1048575 AS INT) + 0]
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
             CAST([] AS BIGINT[])
           )) AS purchased_brands,
           coalesce(by_history.spend_12m_now, 0) AS spend_12m_now,
           by_days.first_shop_date,
           by_days.second_shop_date,
           by_days.previous_shop_date,
           by_days.latest_shop_date,
           coalesce(by_days.total_shop_days, 0) AS total_shop_days,
           by_latest_day.latest_shop_spend,
           by_history.latest_transacted_location,
           by_places.most_spend_location,
           by_places_12m.most_spend_12m_location,
           coalesce(by_places.transacted_locations, (
             CAST([] AS BIGINT[])
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
    LEFT JOIN by_latest_day ON by_latest_day.k = member.k
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
               ) // (
                 2 * (
                   total_shop_days - 1
                 )
               )
             )
           END AS shop_days,
           (
             (
               (
                 spend_12m
               ) // NULLIF(sales_12m, 0)
             ) + CASE
               WHEN 2 * ABS(
                 (
                   (
                     spend_12m
                   ) - NULLIF(sales_12m, 0) * (
                     (
                       spend_12m
                     ) // NULLIF(sales_12m, 0)
                   )
                 )
               ) > ABS(NULLIF(sales_12m, 0))
               OR (
                 2 * ABS(
                   (
                     (
                       spend_12m
                     ) - NULLIF(sales_12m, 0) * (
                       (
                         spend_12m
                       ) // NULLIF(sales_12m, 0)
                     )
                   )
                 ) = ABS(NULLIF(sales_12m, 0))
                 AND (
                   (
                     spend_12m
                   ) // NULLIF(sales_12m, 0)
                 ) % 2 <> 0
               )
               THEN CASE
                 WHEN (
                   (
                     spend_12m
                   ) < 0
                 ) = (
                   NULLIF(sales_12m, 0) < 0
                 )
                 THEN 1
                 ELSE -1
               END
               ELSE 0
             END
           ) AS spend_atv_12m,
           (
             (
               (
                 spend_all
               ) // NULLIF(shop_count, 0)
             ) + CASE
               WHEN 2 * ABS(
                 (
                   (
                     spend_all
                   ) - NULLIF(shop_count, 0) * (
                     (
                       spend_all
                     ) // NULLIF(shop_count, 0)
                   )
                 )
               ) > ABS(NULLIF(shop_count, 0))
               OR (
                 2 * ABS(
                   (
                     (
                       spend_all
                     ) - NULLIF(shop_count, 0) * (
                       (
                         spend_all
                       ) // NULLIF(shop_count, 0)
                     )
                   )
                 ) = ABS(NULLIF(shop_count, 0))
                 AND (
                   (
                     spend_all
                   ) // NULLIF(shop_count, 0)
                 ) % 2 <> 0
               )
               THEN CASE
                 WHEN (
                   (
                     spend_all
                   ) < 0
                 ) = (
                   NULLIF(shop_count, 0) < 0
                 )
                 THEN 1
                 ELSE -1
               END
               ELSE 0
             END
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
               as_of < last_sale_at + INTERVAL '3' MONTHS
             )
             THEN 'RC'
             WHEN (
               as_of < last_sale_at + INTERVAL '6' MONTHS
             )
             THEN 'RS'
             WHEN (
               as_of < last_sale_at + INTERVAL '12' MONTHS
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
               ) // (
                 365
               )
             ) AS TEXT)
           END AS dimension_join,
           CASE WHEN sales_24m > 0 THEN favourite_24m ELSE favourite_all END AS most_transacted_location,
           (
             (
               (
                 discount_total * 10000
               ) // NULLIF(list_price_total, 0)
             ) + CASE
               WHEN 2 * ABS(
                 (
                   (
                     discount_total * 10000
                   ) - NULLIF(list_price_total, 0) * (
                     (
                       discount_total * 10000
                     ) // NULLIF(list_price_total, 0)
                   )
                 )
               ) > ABS(NULLIF(list_price_total, 0))
               OR (
                 2 * ABS(
                   (
                     (
                       discount_total * 10000
                     ) - NULLIF(list_price_total, 0) * (
                       (
                         discount_total * 10000
                       ) // NULLIF(list_price_total, 0)
                     )
                   )
                 ) = ABS(NULLIF(list_price_total, 0))
                 AND (
                   (
                     discount_total * 10000
                   ) // NULLIF(list_price_total, 0)
                 ) % 2 <> 0
               )
               THEN CASE
                 WHEN (
                   (
                     discount_total * 10000
                   ) < 0
                 ) = (
                   NULLIF(list_price_total, 0) < 0
                 )
                 THEN 1
                 ELSE -1
               END
               ELSE 0
             END
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
               ) // (
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
               as_of < last_sale_at + INTERVAL '3' MONTHS
             )
             THEN (
               last_sale_at + INTERVAL '3' MONTHS
             )
             WHEN (
               as_of < last_sale_at + INTERVAL '6' MONTHS
             )
             THEN (
               last_sale_at + INTERVAL '6' MONTHS
             )
             WHEN (
               as_of < last_sale_at + INTERVAL '12' MONTHS
             )
             THEN (
               last_sale_at + INTERVAL '12' MONTHS
             )
           END,
           (
             INSTANT_OF(
               CAST(CASE
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
                       ) // (
                         365
                       )
                     ) + 1
                   ) + 1 AS INT)
                 )
               END AS TIMESTAMP),
               zone
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
       CAST(spend_first_date AS TIMESTAMP) AS spend_first_date,
       CAST(spend_last_date AS TIMESTAMP) AS spend_last_date,
       CAST(dimension_frequency AS TEXT) AS dimension_frequency,
       CAST(dimension_recency AS TEXT) AS dimension_recency,
       CAST(dimension_join AS TEXT) AS dimension_join,
       CAST(channel AS TEXT) AS channel,
       CAST(shop_count AS BIGINT) AS shop_count,
       CAST(store_join AS BIGINT) AS store_join,
       CAST(likely_country AS TEXT) AS likely_country,
       CAST(likely_country_score AS BIGINT) AS likely_country_score,
       list_select((SELECT names FROM brand_names), purchased_brands) AS purchased_brands,
       CAST(most_transacted_location AS BIGINT) AS most_transacted_location,
       CAST(spend_12m_now AS BIGINT) AS spend_12m_now,
       CAST(discount_avg AS HUGEINT) AS discount_avg,
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
FROM layer_2;
