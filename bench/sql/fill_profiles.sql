-- $1 the community, $2 how many profiles: joined over the last six years, half of them with an address.
WITH new_profiles AS (
    INSERT INTO profiles (
        community_id, profile_id, external_id, first_name, last_name, email, joined_at, joined_location_id,
        created_at, updated_at
    )
    SELECT $1, md5(concat($1, '-', n))::uuid, 'C' || n, 'First ' || n % 1000, 'Last ' || n % 5000, 'c' || n || '@example.com',
           now() - interval '6 years' * n / $2, 1 + n % $3::int, now(), now()
    FROM generate_series(1, $2::int) AS n
)
INSERT INTO addresses (community_id, profile_id, is_default, country, fields, created_at, updated_at)
SELECT $1, md5(concat($1, '-', n))::uuid, true, CASE WHEN n % 3 = 0 THEN 'SE' ELSE 'NO' END,
       jsonb_build_object('city', 'Town ' || n % 400, 'country', 'NO'), now(), now()
FROM generate_series(1, $2::int, 2) AS n
