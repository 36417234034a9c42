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
    history.transacted_at + INTERVAL '12 MONTHS'
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
    BOOL_OR(is_sale)
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
  votes DESC,
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
  votes DESC,
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
    MAX(ARRAY[CAST(sales_24m AS BIGINT), store_rank, location_id]) FILTER(WHERE
      sales_24m > 0)
  )[3]
);

-- measure favourite_all
(
  (
    MAX(ARRAY[CAST(sales AS BIGINT), store_rank, location_id]) FILTER(WHERE
      sales > 0)
  )[3]
);

-- change next_future_fact
next_future_at;

-- change recency_drops
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
END;

-- change join_age_step
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
);

-- change sale_leaves_24m_window
MIN((
  transacted_at + INTERVAL '24 MONTHS'
)) FILTER(WHERE
  is_sale AND within_24m);

-- change leaves_12m_window
MIN((
  transacted_at + INTERVAL '12 MONTHS'
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
    ) / (
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
);

-- aggregation spend_atv_all
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
    ) / (
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
    is_sale AND location_id IS NOT NULL) & 4294967295
);

-- aggregation likely_country
MIN(winner);

-- aggregation likely_country_score
MIN(score);

-- aggregation purchased_brands
(
  ARRAY_AGG(DISTINCT brand ORDER BY brand)
);

-- aggregation most_transacted_location
CASE WHEN sales_24m > 0 THEN favourite_24m ELSE favourite_all END;

-- aggregation spend_12m_now
SUM(amount) FILTER(WHERE
  within_12m);

-- aggregation discount_avg
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
);

-- aggregation first_shop_date
MIN(transacted_on);

-- aggregation second_shop_date
(
  MIN(later)
);

-- aggregation previous_shop_date
(
  MAX(earlier)
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
    ) / (
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
    is_sale AND location_id IS NOT NULL) & 4294967295
);

-- aggregation most_spend_location
(
  (
    MAX(ARRAY[CAST(net AS BIGINT), store_rank, location_id]) FILTER(WHERE
      net > 0)
  )[3]
);

-- aggregation most_spend_12m_location
(
  (
    MAX(ARRAY[CAST(net_12m AS BIGINT), store_rank, location_id]) FILTER(WHERE
      net_12m > 0)
  )[3]
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
