-- $1 the community, $2 the days, $3 how many a day: members who joined on the last days, one in ten of whom left on the
-- same day, nearly each unlike all others.
INSERT INTO member_flow_deltas (
    community_id, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
    consents_false, delta
)
SELECT
    $1, bucket_start(now() - make_interval(days => day, hours => (hash % 8)::int), '5m', 'Europe/Oslo'),
    CASE WHEN hash % 11 = 0 THEN 'out' ELSE 'in' END,
    (ARRAY['ios app', 'android app', 'web', 'pos'])[1 + (hash & 3)],
    'store ' || (hash >> 2) % 40,
    (ARRAY['ios', 'android', 'web', 'pos'])[1 + (hash & 3)],
    (ARRAY['female', 'male', 'other'])[1 + (hash >> 4) % 3],
    concat(15 + (hash >> 9) % 13 * 5, '-', 19 + (hash >> 9) % 13 * 5),
    CASE WHEN hash % 5 < 3 THEN ARRAY['email_marketing'] ELSE '{}' END,
    CASE WHEN hash % 7 < 3 THEN ARRAY['sms_marketing'] ELSE '{}' END,
    1
FROM (
    SELECT day, hashtextextended(concat(day, '-', n), 1) & 9223372036854775807 AS hash
    FROM generate_series(0, $2::int - 1) AS day
    CROSS JOIN generate_series(1, $3::int) AS n
    OFFSET 0
) AS drawn
