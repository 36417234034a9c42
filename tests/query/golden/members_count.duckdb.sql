-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community
SELECT
    CAST($1 AS INT) AS "community_id",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r;

-- by_subunit: 
SELECT
    r.element_1 AS "subunit",
    COUNT(*) AS "members_count"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.subunit_ids) > 0 THEN r.subunit_ids ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM members
    ) AS r
) AS r
GROUP BY 1;

-- by_group: 
SELECT
    r.element_1 AS "group",
    COUNT(*) AS "members_count"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.group_ids) > 0 THEN r.group_ids ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM members
    ) AS r
) AS r
GROUP BY 1;

-- by_favorite_store: 
SELECT
    r.element_1 AS "favorite_store",
    COUNT(*) AS "members_count"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.favorite_stores) > 0 THEN r.favorite_stores ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM members
    ) AS r
) AS r
GROUP BY 1;

-- by_community_id: community
SELECT
    CAST($1 AS INT) AS "community_id",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r;

-- by_loyalty_club_id: club
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r;

-- by_optin_channel: 
SELECT
    r.optin_channel AS "optin_channel",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_optin_subchannel: 
SELECT
    r.optin_subchannel AS "optin_subchannel",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_optin_platform: 
SELECT
    r.optin_platform AS "optin_platform",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_gender: 
SELECT
    r.gender AS "gender",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_age: today
SELECT
    CASE
      WHEN r.birth_date IS NOT NULL
      THEN (
        [
          '-14',
          '15-19',
          '20-24',
          '25-29',
          '30-34',
          '35-39',
          '40-44',
          '45-49',
          '50-54',
          '55-59',
          '60-64',
          '65-69',
          '70-74',
          '75-79',
          '80-'
        ]
      )[1 + GREATEST(LEAST((
        (
          CAST($1 AS INT) - r.birth_date
        ) // (
          50000
        )
      ), 16) - 2, 0)]
    END AS "age",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_birth_year_group: 
SELECT
    (
      (
        r.birth_date
      ) // (
        50000
      )
    ) * 5 AS "birth_year_group",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_subunit_ids: 
SELECT
    r.element_1 AS "subunit",
    COUNT(*) AS "members_count"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.subunit_ids) > 0 THEN r.subunit_ids ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM members
    ) AS r
) AS r
GROUP BY 1;

-- by_group_ids: 
SELECT
    r.element_1 AS "group",
    COUNT(*) AS "members_count"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.group_ids) > 0 THEN r.group_ids ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM members
    ) AS r
) AS r
GROUP BY 1;

-- by_favorite_stores: 
SELECT
    r.element_1 AS "favorite_store",
    COUNT(*) AS "members_count"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.favorite_stores) > 0 THEN r.favorite_stores ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM members
    ) AS r
) AS r
GROUP BY 1;

-- by_consents: 
SELECT
    r.element_1 AS "consent",
    list_contains(r.consents_true, r.element_1) AS "status",
    COUNT(*) AS "members_count"
FROM (
    SELECT r.*, unnest(list_concat(r.consents_true, r.consents_false)) AS element_1
    FROM (
        SELECT
          *
        FROM members
    ) AS r
) AS r
GROUP BY 1, 2;

-- by_marketing_via_sms: 
SELECT
    (
      ARRAY_CONTAINS(r.marketing, 'sms')
    ) AS "marketing_via_sms",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_marketing_via_email: 
SELECT
    (
      ARRAY_CONTAINS(r.marketing, 'email')
    ) AS "marketing_via_email",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_marketing_via_push: 
SELECT
    (
      ARRAY_CONTAINS(r.marketing, 'push')
    ) AS "marketing_via_push",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_marketing_via_anything: 
SELECT
    (
      ARRAY_CONTAINS(r.marketing, 'anything')
    ) AS "marketing_via_anything",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_country: 
SELECT
    r.country AS "country",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_aggregations.dimension_frequency: 
SELECT
    r.dimension_frequency AS "aggregations.dimension_frequency",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_aggregations.dimension_recency: 
SELECT
    r.dimension_recency AS "aggregations.dimension_recency",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_aggregations.dimension_join: 
SELECT
    r.dimension_join AS "aggregations.dimension_join",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_aggregations.channel: 
SELECT
    r.channel AS "aggregations.channel",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_aggregations.likely_country: 
SELECT
    r.likely_country AS "aggregations.likely_country",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_aggregations.latest_shop_currency: 
SELECT
    r.latest_shop_currency AS "aggregations.latest_shop_currency",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;

-- by_aggregations.join_day: 
SELECT
    r.join_day AS "aggregations.join_day",
    COUNT(*) AS "members_count"
FROM (
    SELECT
      *
    FROM members
) AS r
GROUP BY 1;
