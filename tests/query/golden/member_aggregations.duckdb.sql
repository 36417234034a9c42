-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- records: community, limit
SELECT
    r.member_id AS "id",
    CAST($1 AS INT) AS "community_id",
    r.shop_days AS "shop_days",
    r.spend_12m AS "spend_12m",
    r.spend_all AS "spend_all",
    r.spend_atv_12m AS "spend_atv_12m",
    r.spend_atv_all AS "spend_atv_all",
    r.spend_first_date AS "spend_first_date",
    r.spend_last_date AS "spend_last_date",
    r.dimension_frequency AS "dimension_frequency",
    r.dimension_recency AS "dimension_recency",
    r.dimension_join AS "dimension_join",
    r.channel AS "channel",
    r.shop_count AS "shop_count",
    r.store_join AS "store_join",
    r.likely_country AS "likely_country",
    r.likely_country_score AS "likely_country_score",
    r.purchased_brands AS "purchased_brands",
    r.most_transacted_location AS "most_transacted_location",
    r.spend_12m_now AS "spend_12m_now",
    r.discount_avg AS "discount_avg",
    r.first_shop_date AS "first_shop_date",
    r.second_shop_date AS "second_shop_date",
    r.previous_shop_date AS "previous_shop_date",
    r.latest_shop_date AS "latest_shop_date",
    r.first_shop_days AS "first_shop_days",
    r.second_shop_days AS "second_shop_days",
    r.latest_shop_days AS "latest_shop_days",
    r.average_shop_days AS "average_shop_days",
    r.total_shop_days AS "total_shop_days",
    r.at_risk_date AS "at_risk_date",
    r.latest_shop_spend AS "latest_shop_spend",
    r.latest_shop_currency AS "latest_shop_currency",
    r.join_hour AS "join_hour",
    r.join_day AS "join_day",
    r.latest_transacted_location AS "latest_transacted_location",
    r.most_spend_location AS "most_spend_location",
    r.most_spend_12m_location AS "most_spend_12m_location",
    r.transacted_locations AS "transacted_locations",
    r.likely_country_iso AS "likely_country_iso",
    r.likely_country_iso_score AS "likely_country_iso_score",
    r.likely_state_iso AS "likely_state_iso",
    r.likely_state_iso_score AS "likely_state_iso_score",
    r.likely_region AS "likely_region",
    r.likely_region_score AS "likely_region_score"
FROM (
    SELECT
      *
    FROM members
) AS r
ORDER BY
    r.member_id NULLS FIRST
LIMIT CAST($2 AS BIGINT);

-- records behind a cursor: community, c1, limit
SELECT
    r.member_id AS "id",
    CAST($1 AS INT) AS "community_id",
    r.shop_days AS "shop_days",
    r.spend_12m AS "spend_12m",
    r.spend_all AS "spend_all",
    r.spend_atv_12m AS "spend_atv_12m",
    r.spend_atv_all AS "spend_atv_all",
    r.spend_first_date AS "spend_first_date",
    r.spend_last_date AS "spend_last_date",
    r.dimension_frequency AS "dimension_frequency",
    r.dimension_recency AS "dimension_recency",
    r.dimension_join AS "dimension_join",
    r.channel AS "channel",
    r.shop_count AS "shop_count",
    r.store_join AS "store_join",
    r.likely_country AS "likely_country",
    r.likely_country_score AS "likely_country_score",
    r.purchased_brands AS "purchased_brands",
    r.most_transacted_location AS "most_transacted_location",
    r.spend_12m_now AS "spend_12m_now",
    r.discount_avg AS "discount_avg",
    r.first_shop_date AS "first_shop_date",
    r.second_shop_date AS "second_shop_date",
    r.previous_shop_date AS "previous_shop_date",
    r.latest_shop_date AS "latest_shop_date",
    r.first_shop_days AS "first_shop_days",
    r.second_shop_days AS "second_shop_days",
    r.latest_shop_days AS "latest_shop_days",
    r.average_shop_days AS "average_shop_days",
    r.total_shop_days AS "total_shop_days",
    r.at_risk_date AS "at_risk_date",
    r.latest_shop_spend AS "latest_shop_spend",
    r.latest_shop_currency AS "latest_shop_currency",
    r.join_hour AS "join_hour",
    r.join_day AS "join_day",
    r.latest_transacted_location AS "latest_transacted_location",
    r.most_spend_location AS "most_spend_location",
    r.most_spend_12m_location AS "most_spend_12m_location",
    r.transacted_locations AS "transacted_locations",
    r.likely_country_iso AS "likely_country_iso",
    r.likely_country_iso_score AS "likely_country_iso_score",
    r.likely_state_iso AS "likely_state_iso",
    r.likely_state_iso_score AS "likely_state_iso_score",
    r.likely_region AS "likely_region",
    r.likely_region_score AS "likely_region_score"
FROM (
    SELECT
      *
    FROM members
) AS r
WHERE r.member_id > CAST($2 AS BIGINT)
ORDER BY
    r.member_id NULLS FIRST
LIMIT CAST($3 AS BIGINT);

-- records behind a cursor of nulls: community, limit
SELECT
    r.member_id AS "id",
    CAST($1 AS INT) AS "community_id",
    r.shop_days AS "shop_days",
    r.spend_12m AS "spend_12m",
    r.spend_all AS "spend_all",
    r.spend_atv_12m AS "spend_atv_12m",
    r.spend_atv_all AS "spend_atv_all",
    r.spend_first_date AS "spend_first_date",
    r.spend_last_date AS "spend_last_date",
    r.dimension_frequency AS "dimension_frequency",
    r.dimension_recency AS "dimension_recency",
    r.dimension_join AS "dimension_join",
    r.channel AS "channel",
    r.shop_count AS "shop_count",
    r.store_join AS "store_join",
    r.likely_country AS "likely_country",
    r.likely_country_score AS "likely_country_score",
    r.purchased_brands AS "purchased_brands",
    r.most_transacted_location AS "most_transacted_location",
    r.spend_12m_now AS "spend_12m_now",
    r.discount_avg AS "discount_avg",
    r.first_shop_date AS "first_shop_date",
    r.second_shop_date AS "second_shop_date",
    r.previous_shop_date AS "previous_shop_date",
    r.latest_shop_date AS "latest_shop_date",
    r.first_shop_days AS "first_shop_days",
    r.second_shop_days AS "second_shop_days",
    r.latest_shop_days AS "latest_shop_days",
    r.average_shop_days AS "average_shop_days",
    r.total_shop_days AS "total_shop_days",
    r.at_risk_date AS "at_risk_date",
    r.latest_shop_spend AS "latest_shop_spend",
    r.latest_shop_currency AS "latest_shop_currency",
    r.join_hour AS "join_hour",
    r.join_day AS "join_day",
    r.latest_transacted_location AS "latest_transacted_location",
    r.most_spend_location AS "most_spend_location",
    r.most_spend_12m_location AS "most_spend_12m_location",
    r.transacted_locations AS "transacted_locations",
    r.likely_country_iso AS "likely_country_iso",
    r.likely_country_iso_score AS "likely_country_iso_score",
    r.likely_state_iso AS "likely_state_iso",
    r.likely_state_iso_score AS "likely_state_iso_score",
    r.likely_region AS "likely_region",
    r.likely_region_score AS "likely_region_score"
FROM (
    SELECT
      *
    FROM members
) AS r
WHERE r.member_id IS NOT NULL
ORDER BY
    r.member_id NULLS FIRST
LIMIT CAST($2 AS BIGINT);

-- by_recency_and_frequency: 
SELECT
    r.dimension_recency AS "dimension_recency",
    r.dimension_frequency AS "dimension_frequency",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1, 2;

-- by_community_id: community
SELECT
    CAST($1 AS INT) AS "community_id",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
HAVING count(*) > 0;

-- by_loyalty_club_id: club
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
HAVING count(*) > 0;

-- by_dimension_frequency: 
SELECT
    r.dimension_frequency AS "dimension_frequency",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_dimension_recency: 
SELECT
    r.dimension_recency AS "dimension_recency",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_dimension_join: 
SELECT
    r.dimension_join AS "dimension_join",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_channel: 
SELECT
    r.channel AS "channel",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_likely_country: 
SELECT
    r.likely_country AS "likely_country",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_latest_shop_currency: 
SELECT
    r.latest_shop_currency AS "latest_shop_currency",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_join_day: 
SELECT
    r.join_day AS "join_day",
    COUNT(*) AS "members_count",
    SUM(r.spend_12m) AS "spend_12m_sum",
    SUM(r.spend_all) AS "spend_all_sum",
    SUM(r.shop_count) AS "shop_count_sum"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;
