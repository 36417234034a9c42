-- What is to be added to counts, rollups and snapshots, each in one row with lists of its buckets, as the database
-- reads them: of `moved_groups`, `moved_joins`, `snapshot_edges`, `wanted`, `left_behind`, and of `buckets` (in which
-- bucket of each granularity an instant is, where that is still kept; written as it stands in lists).
CREATE TEMP MACRO listed(values) AS '{' || array_to_string(values, ',') || '}';
CREATE TEMP MACRO written(instant) AS coalesce(strftime(instant, '%Y-%m-%dT%H:%M:%S.%f+00'), 'infinity');

CREATE TEMP TABLE told_groups AS
-- Who stands in the same groups from one bucket on is many; of these the groups are taken apart.
WITH together AS (
    SELECT groups, granularity, bucket, sum(n) AS n
    FROM moved_groups
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(n) <> 0
),
rolled AS (
    SELECT name, granularity, bucket, sum(n) AS n
    FROM (SELECT unnest(from_json(groups, '["VARCHAR"]')) AS name, granularity, bucket, n FROM together)
    GROUP BY ALL
    HAVING sum(n) <> 0
)
SELECT
    split_part(name, ':', 1) AS grouping_type, substr(name, 1 + position(':' IN name)) AS grouping_value,
    -- Months are kept for ever, so that they have all of it.
    CAST(coalesce(sum(n) FILTER (WHERE granularity = '1mo'), 0) AS BIGINT) AS n,
    listed(list(granularity)) AS granularities, listed(list(bucket)) AS buckets, listed(list(CAST(n AS BIGINT))) AS numbers
FROM rolled
GROUP BY name;

CREATE TEMP TABLE told_joins AS
WITH grains AS (
    SELECT
        instant, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
        sum(n) AS n,
        CASE grouping(optin_channel, optin_subchannel, optin_platform, gender, age, consents_true)
            WHEN 63 THEN ''
            WHEN 31 THEN 'optin_channel'
            WHEN 47 THEN 'optin_subchannel'
            WHEN 55 THEN 'optin_platform'
            WHEN 59 THEN 'gender'
            WHEN 61 THEN 'age'
            WHEN 62 THEN 'consents'
            ELSE 'all'
        END AS grain
    FROM moved_joins
    GROUP BY instant, type, GROUPING SETS (
        (),
        (optin_channel),
        (optin_subchannel),
        (optin_platform),
        (gender),
        (age),
        (consents_true, consents_false),
        (optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false)
    )
),
rolled AS (
    SELECT grains.* EXCLUDE (instant, n), granularity, bucket, sum(n) AS n
    FROM grains
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(n) <> 0
)
SELECT
    grain, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
    listed(list(granularity)) AS granularities, listed(list(bucket)) AS buckets,
    listed(list(CAST(n AS BIGINT))) AS numbers
FROM rolled
GROUP BY grain, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false;

CREATE TEMP TABLE told_alike AS
WITH kinds AS (
    SELECT
        kind, any_value(optin_channel) AS optin_channel, any_value(optin_subchannel) AS optin_subchannel,
        any_value(optin_platform) AS optin_platform, any_value(gender) AS gender, any_value(age) AS age,
        any_value(country) AS country, any_value(consents_true) AS consents_true,
        any_value(consents_false) AS consents_false,
        list(profile_id) FILTER (WHERE is_wanted) AS profile_ids,
        list(written(since)) FILTER (WHERE is_wanted) AS sinces,
        list(written(until)) FILTER (WHERE is_wanted) AS untils
    FROM (
        SELECT *, TRUE AS is_wanted FROM wanted UNION ALL BY NAME SELECT *, FALSE AS is_wanted FROM left_behind
    )
    GROUP BY kind
),
rolled AS (
    SELECT kind, list(granularity) AS granularities, list(bucket) AS buckets, list(n) AS numbers
    FROM (
        SELECT kind, granularity, bucket, CAST(sum(n) AS BIGINT) AS n
        FROM snapshot_edges
        JOIN buckets USING (instant)
        WHERE granularity <> '5m'
        GROUP BY ALL
        HAVING sum(n) <> 0
    )
    GROUP BY kind
),
totals AS (
    SELECT kind, CAST(sum(n) AS BIGINT) AS n FROM snapshot_edges GROUP BY kind
)
SELECT
    optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false,
    coalesce(n, 0) AS n, listed(coalesce(granularities, [])) AS granularities, listed(coalesce(buckets, [])) AS buckets,
    listed(coalesce(numbers, [])) AS numbers, listed(coalesce(profile_ids, [])) AS profile_ids,
    listed(coalesce(sinces, [])) AS sinces, listed(coalesce(untils, [])) AS untils
FROM kinds
LEFT JOIN rolled USING (kind)
LEFT JOIN totals USING (kind);
