-- $1 the community, $2 how many: members of 50 subunits, 300 groups and 200 stores, without profiles behind them, each
-- with the groups that it stands in.
INSERT INTO members (
    community_id, profile_id, member_id, is_member, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
    subunit_ids, group_ids, favorite_stores, consents_true, consents_false, marketing, country, properties, created_at,
    updated_at, groups
)
SELECT
    $1, profile_id, n, true, optin_channel, optin_subchannel, split_part(optin_channel, ' ', 1), gender, birth_date,
    subunit_ids, group_ids, favorite_stores, consents_true, consents_false, marketing, country, '{}', now(), now(),
    array_remove(ARRAY[
        'all:',
        'optin_channel:' || optin_channel,
        'optin_subchannel:' || optin_subchannel,
        'optin_platform:' || split_part(optin_channel, ' ', 1),
        'birth_year_group:' || birth_date / 50000 * 5,
        'country:' || country,
        'gender:' || gender,
        'consent_true:' || consents_true[1],
        'consent_false:' || consents_false[1],
        CASE WHEN marketing = '{}' THEN 'marketing_false:email' ELSE 'marketing_true:email' END,
        'marketing_false:sms',
        'marketing_false:push',
        CASE WHEN marketing = '{}' THEN 'marketing_false:anything' ELSE 'marketing_true:anything' END,
        'subunit_id:' || subunit_ids[1],
        'group_id:' || group_ids[1],
        'favorite_store:' || favorite_stores[1]
    ], NULL)
FROM (
    SELECT
        n, profile_id,
        (ARRAY['ios app', 'android app', 'web', 'pos'])[1 + (hash & 3)] AS optin_channel,
        'store ' || (hash >> 2) % 40 AS optin_subchannel,
        CASE WHEN hash % 10 < 9 THEN (ARRAY['female', 'male', 'other'])[1 + (hash >> 4) % 3] END AS gender,
        CASE WHEN hash % 7 < 6 THEN 19400101 + (hash >> 6) % 70 * 10000 END::int AS birth_date,
        CASE WHEN hash % 4 = 0 THEN '{}' ELSE ARRAY[1 + (hash >> 8) % 50] END AS subunit_ids,
        CASE WHEN hash % 3 = 0 THEN '{}' ELSE ARRAY[1 + (hash >> 9) % 300] END AS group_ids,
        CASE WHEN hash % 2 = 0 THEN '{}' ELSE ARRAY[1 + (hash >> 10) % 200] END AS favorite_stores,
        CASE WHEN hash % 5 < 3 THEN ARRAY['email_marketing'] ELSE '{}' END AS consents_true,
        CASE WHEN hash % 5 = 3 THEN ARRAY['email_marketing'] ELSE '{}' END AS consents_false,
        CASE WHEN hash % 5 < 3 THEN ARRAY['email', 'anything'] ELSE '{}' END AS marketing,
        (ARRAY['NO', 'SE', 'DK', 'PL'])[1 + (hash >> 11) % 4] AS country
    FROM (
        SELECT
            n, md5(concat($1, '-', n))::uuid AS profile_id,
            hashtextextended(concat($1, '-', n), 1) & 9223372036854775807 AS hash
        FROM generate_series(1, $2::int) AS n
        OFFSET 0
    ) AS drawn
    OFFSET 0
) AS input
