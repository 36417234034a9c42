-- Aggregates what is to be added to counts, rollups and snapshots: one row per key, with its buckets as array literals
-- of PostgreSQL. Input: `group_changes`, `join_changes`, `snapshot_deltas`, `target_spans`, `counted_spans`, and
-- `buckets` (the bucket of each instant by granularity within its retention, quoted as an array element).
CREATE TEMP MACRO array_literal(values) AS '{' || array_to_string(values, ',') || '}';
CREATE TEMP MACRO timestamp_text(instant) AS coalesce(strftime(instant, '%Y-%m-%dT%H:%M:%S.%f+00'), 'infinity');

CREATE TEMP TABLE group_rollup_input AS
-- Sums by list of groups first, which is much smaller than by group.
WITH grouped AS (
    SELECT groups, granularity, bucket, sum(delta) AS delta
    FROM group_changes
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(delta) <> 0
),
bucketed AS (
    SELECT name, granularity, bucket, sum(delta) AS delta
    FROM (SELECT unnest(from_json(groups, '["VARCHAR"]')) AS name, granularity, bucket, delta FROM grouped)
    GROUP BY ALL
    HAVING sum(delta) <> 0
)
SELECT
    split_part(name, ':', 1) AS grouping_type, substr(name, 1 + position(':' IN name)) AS grouping_value,
    -- Months have unlimited retention, so their sum is the total.
    CAST(coalesce(sum(delta) FILTER (WHERE granularity = '1mo'), 0) AS BIGINT) AS delta,
    array_literal(list(granularity)) AS granularities, array_literal(list(bucket)) AS buckets,
    array_literal(list(CAST(delta AS BIGINT))) AS deltas
FROM bucketed
GROUP BY name;

CREATE TEMP TABLE balance_rollup_input AS
WITH flows_by_dimension_set AS (
    SELECT
        instant, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
        sum(delta) AS delta,
        CASE grouping(optin_channel, optin_subchannel, optin_platform, gender, age, consents_true)
            WHEN 63 THEN ''
            WHEN 31 THEN 'optin_channel'
            WHEN 47 THEN 'optin_subchannel'
            WHEN 55 THEN 'optin_platform'
            WHEN 59 THEN 'gender'
            WHEN 61 THEN 'age'
            WHEN 62 THEN 'consents'
            ELSE 'all'
        END AS dimension_set
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
    SELECT flows_by_dimension_set.* EXCLUDE (instant, delta), granularity, bucket, sum(delta) AS delta
    FROM flows_by_dimension_set
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(delta) <> 0
)
SELECT
    dimension_set, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
    array_literal(list(granularity)) AS granularities, array_literal(list(bucket)) AS buckets,
    array_literal(list(CAST(delta AS BIGINT))) AS deltas
FROM bucketed
GROUP BY
    dimension_set, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false;

CREATE TEMP TABLE snapshot_rollup_input AS
WITH dimensions AS (
    SELECT
        dimensions_key, any_value(optin_channel) AS optin_channel, any_value(optin_subchannel) AS optin_subchannel,
        any_value(optin_platform) AS optin_platform, any_value(gender) AS gender, any_value(age) AS age,
        any_value(country) AS country, any_value(consents_true) AS consents_true,
        any_value(consents_false) AS consents_false,
        list(profile_id) FILTER (WHERE is_target) AS profile_ids,
        list(timestamp_text(valid_from)) FILTER (WHERE is_target) AS valid_froms,
        list(timestamp_text(valid_to)) FILTER (WHERE is_target) AS valid_tos
    FROM (
        SELECT *, TRUE AS is_target FROM target_spans UNION ALL BY NAME SELECT *, FALSE AS is_target FROM counted_spans
    )
    GROUP BY dimensions_key
),
bucketed AS (
    SELECT dimensions_key, list(granularity) AS granularities, list(bucket) AS buckets, list(delta) AS deltas
    FROM (
        SELECT dimensions_key, granularity, bucket, CAST(sum(delta) AS BIGINT) AS delta
        FROM snapshot_deltas
        JOIN buckets USING (instant)
        WHERE granularity <> '5m'
        GROUP BY ALL
        HAVING sum(delta) <> 0
    )
    GROUP BY dimensions_key
),
totals AS (
    SELECT dimensions_key, CAST(sum(delta) AS BIGINT) AS delta FROM snapshot_deltas GROUP BY dimensions_key
)
SELECT
    optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false,
    coalesce(delta, 0) AS delta, array_literal(coalesce(granularities, [])) AS granularities,
    array_literal(coalesce(buckets, [])) AS buckets,
    array_literal(coalesce(deltas, [])) AS deltas, array_literal(coalesce(profile_ids, [])) AS profile_ids,
    array_literal(coalesce(valid_froms, [])) AS valid_froms, array_literal(coalesce(valid_tos, [])) AS valid_tos
FROM dimensions
LEFT JOIN bucketed USING (dimensions_key)
LEFT JOIN totals USING (dimensions_key);
