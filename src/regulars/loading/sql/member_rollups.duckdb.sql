-- Aggregates what is to be added to counts, rollups and snapshots: one row per key, with its buckets as array literals
-- of PostgreSQL. Input: `group_changes`, `join_changes`, `snapshot_deltas`, `target_spans`, `counted_spans`, and
-- `buckets` (the bucket of each instant by granularity within its retention, quoted as an array element).
CREATE TEMP MACRO array_literal(values) AS '{' || array_to_string(values, ',') || '}';
CREATE TEMP MACRO timestamp_text(instant) AS coalesce(strftime(instant, '%Y-%m-%dT%H:%M:%S.%f+00'), 'infinity');

CREATE TEMP TABLE group_rollup_input AS
-- Sums by list of groups first, which is much smaller than by group.
WITH grouped AS (
    SELECT groups, granularity, bucket, sum(n) AS n
    FROM group_changes
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(n) <> 0
),
bucketed AS (
    SELECT name, granularity, bucket, sum(n) AS n
    FROM (SELECT unnest(from_json(groups, '["VARCHAR"]')) AS name, granularity, bucket, n FROM grouped)
    GROUP BY ALL
    HAVING sum(n) <> 0
)
SELECT
    split_part(name, ':', 1) AS grouping_type, substr(name, 1 + position(':' IN name)) AS grouping_value,
    -- Months have unlimited retention, so their sum is the total.
    CAST(coalesce(sum(n) FILTER (WHERE granularity = '1mo'), 0) AS BIGINT) AS n,
    array_literal(list(granularity)) AS granularities, array_literal(list(bucket)) AS buckets,
    array_literal(list(CAST(n AS BIGINT))) AS numbers
FROM bucketed
GROUP BY name;

CREATE TEMP TABLE balance_rollup_input AS
WITH dimension_sets AS (
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
    FROM join_changes
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
bucketed AS (
    SELECT dimension_sets.* EXCLUDE (instant, n), granularity, bucket, sum(n) AS n
    FROM dimension_sets
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(n) <> 0
)
SELECT
    grain, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
    array_literal(list(granularity)) AS granularities, array_literal(list(bucket)) AS buckets,
    array_literal(list(CAST(n AS BIGINT))) AS numbers
FROM bucketed
GROUP BY grain, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false;

CREATE TEMP TABLE snapshot_rollup_input AS
WITH dimensions AS (
    SELECT
        dimensions_key, any_value(optin_channel) AS optin_channel, any_value(optin_subchannel) AS optin_subchannel,
        any_value(optin_platform) AS optin_platform, any_value(gender) AS gender, any_value(age) AS age,
        any_value(country) AS country, any_value(consents_true) AS consents_true,
        any_value(consents_false) AS consents_false,
        list(profile_id) FILTER (WHERE is_target) AS profile_ids,
        list(timestamp_text(since)) FILTER (WHERE is_target) AS sinces,
        list(timestamp_text(until)) FILTER (WHERE is_target) AS untils
    FROM (
        SELECT *, TRUE AS is_target FROM target_spans UNION ALL BY NAME SELECT *, FALSE AS is_target FROM counted_spans
    )
    GROUP BY dimensions_key
),
bucketed AS (
    SELECT dimensions_key, list(granularity) AS granularities, list(bucket) AS buckets, list(n) AS numbers
    FROM (
        SELECT dimensions_key, granularity, bucket, CAST(sum(n) AS BIGINT) AS n
        FROM snapshot_deltas
        JOIN buckets USING (instant)
        WHERE granularity <> '5m'
        GROUP BY ALL
        HAVING sum(n) <> 0
    )
    GROUP BY dimensions_key
),
totals AS (
    SELECT dimensions_key, CAST(sum(n) AS BIGINT) AS n FROM snapshot_deltas GROUP BY dimensions_key
)
SELECT
    optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false,
    coalesce(n, 0) AS n, array_literal(coalesce(granularities, [])) AS granularities,
    array_literal(coalesce(buckets, [])) AS buckets,
    array_literal(coalesce(numbers, [])) AS numbers, array_literal(coalesce(profile_ids, [])) AS profile_ids,
    array_literal(coalesce(sinces, [])) AS sinces, array_literal(coalesce(untils, [])) AS untils
FROM dimensions
LEFT JOIN bucketed USING (dimensions_key)
LEFT JOIN totals USING (dimensions_key);
