-- records by value after cursor of nulls, as in members
-- Parameters: community, today, limit
SELECT
    r.member_id AS "id",
    CAST($1 AS INT) AS "community_id",
    r.optin_channel AS "optin_channel",
    r.optin_subchannel AS "optin_subchannel",
    r.optin_platform AS "optin_platform",
    r.gender AS "gender",
    CASE
      WHEN r.birth_date IS NOT NULL
      THEN (
        LIST_EXTRACT(
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
          ],
          1 + GREATEST(LEAST((
            (
              CAST($2 AS INT) - r.birth_date
            ) // (
              50000
            )
          ), 16) - 2, 0)
        )
      )
    END AS "age",
    (
      (
        r.birth_date
      ) // (
        50000
      )
    ) * 5 AS "birth_year_group",
    r.subunit_ids AS "subunit_ids",
    r.group_ids AS "group_ids",
    r.favorite_stores AS "favorite_stores",
    r.properties AS "properties",
    r.consents_true,
    r.consents_false,
    (
      ARRAY_CONTAINS(r.marketing, 'sms')
    ) AS "marketing_via_sms",
    (
      ARRAY_CONTAINS(r.marketing, 'email')
    ) AS "marketing_via_email",
    (
      ARRAY_CONTAINS(r.marketing, 'push')
    ) AS "marketing_via_push",
    (
      ARRAY_CONTAINS(r.marketing, 'anything')
    ) AS "marketing_via_anything",
    r.sms_status AS "sms_status",
    r.email_status AS "email_status",
    r.push_status AS "push_status",
    r.country AS "country",
    r.created_at AS "created_at",
    r.updated_at AS "updated_at"
FROM (
    SELECT
      *
    FROM rows
) AS r
WHERE r.member_id IS NOT NULL
ORDER BY
    r.member_id NULLS FIRST
LIMIT CAST($3 AS BIGINT);

