-- $1 the community, $2 how many transactions, $3 of how many profiles, $4 locations, $5 products, $6 the last id
-- before: of random profiles, each in three stores of its own, over the last three years, in the order of time as they would have come in; one in
-- twenty a return; with all derived columns, without lines, which no value reads.
INSERT INTO transactions (
    community_id, id, external_id, profile_id, transacted_at, timezone, total, location_id, systems, receipt_ref,
    created_at, updated_at, amount, direction, transacted_on, channels, discount, list_value, item_product_ids
)
SELECT $1, $6 + n, 'T' || $6 + n, md5(concat($1, '-', profile_no))::uuid, at, 'Europe/Oslo',
       amount / 100.0, 1 + (profile_no * 7 + (hash >> 16 & 65535) % 3) % $4, ARRAY[CASE WHEN n % 5 = 0 THEN 'web' ELSE 'pos' END],
       'R' || n, at, at, amount, sign(amount), (at AT TIME ZONE 'Europe/Oslo')::date,
       CASE WHEN n % 5 = 0 THEN 2 ELSE 1 END, 0, abs(amount) / 100.0,
       ARRAY[1 + (hash >> 8 & 65535) % $5, 1 + (hash >> 24 & 65535) % $5]
FROM (
    SELECT n, hashint8extended(n, 7) AS hash, 1 + (hashint8extended(n, 7) & 2147483647) % $3 AS profile_no,
           now() - interval '3 years' * (1 - n::float8 / $2) - interval '1 minute' AS at,
           (1000 + (hashint8extended(n, 9) & 65535)) * CASE WHEN n % 20 = 0 THEN -1 ELSE 1 END AS amount
    FROM generate_series(1, $2::bigint) AS n
    OFFSET 0
) AS input
