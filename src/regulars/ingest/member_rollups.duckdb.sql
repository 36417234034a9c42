-- What is to be added to counts, rollups and snapshots, each in one row with lists of its buckets, as the database
-- reads them: of `moved_groups`, `moved_joins`, `snapshot_edges`, `wanted`, and of `buckets` (in which bucket of each
-- step an instant is, where that is still kept; written as it stands in lists).
CREATE TEMP MACRO listed(values) AS '{' || array_to_string(values, ',') || '}';
CREATE TEMP MACRO written(instant) AS coalesce(strftime(instant, '%Y-%m-%dT%H:%M:%S.%f+00'), 'infinity');

CREATE TEMP TABLE told_groups AS
WITH named AS (
    SELECT name, instant, sum(n) AS n
    FROM (SELECT unnest(from_json(groups, '["VARCHAR"]')) AS name, instant, n FROM moved_groups)
    GROUP BY ALL
),
rolled AS (
    SELECT name, step, bucket, sum(n) AS n
    FROM named
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(n) <> 0
),
totals AS (
    SELECT name, sum(n) AS n FROM named GROUP BY name
)
SELECT
    split_part(name, ':', 1) AS grouping_type, substr(name, 1 + position(':' IN name)) AS grouping_value,
    CAST(any_value(totals.n) AS BIGINT) AS n, listed(list(step)) AS steps, listed(list(bucket)) AS buckets,
    listed(list(CAST(rolled.n AS BIGINT))) AS numbers
FROM totals
JOIN rolled USING (name)
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
    SELECT grains.* EXCLUDE (instant, n), step, bucket, sum(n) AS n
    FROM grains
    JOIN buckets USING (instant)
    GROUP BY ALL
    HAVING sum(n) <> 0
)
SELECT
    grain, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
    listed(list(step)) AS steps, listed(list(bucket)) AS buckets,
    listed(list(CAST(n AS BIGINT))) AS numbers
FROM rolled
GROUP BY grain, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false;

CREATE TEMP TABLE told_alike AS
WITH rolled AS (
    SELECT
        optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false,
        list(step) AS steps, list(bucket) AS buckets, list(n) AS numbers
    FROM (
        SELECT snapshot_edges.* EXCLUDE (instant, n), step, bucket, CAST(sum(n) AS BIGINT) AS n
        FROM snapshot_edges
        JOIN buckets USING (instant)
        WHERE step <> '5m'
        GROUP BY ALL
        HAVING sum(n) <> 0
    )
    GROUP BY ALL
),
totals AS (
    SELECT * EXCLUDE (instant, n), CAST(sum(n) AS BIGINT) AS n FROM snapshot_edges GROUP BY ALL
),
present AS (
    SELECT
        * EXCLUDE (profile_id, since, until), list(profile_id) AS profile_ids, list(written(since)) AS sinces,
        list(written(until)) AS untils
    FROM wanted
    GROUP BY ALL
)
SELECT
    optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false,
    coalesce(sum(n), 0) AS n,
    listed(coalesce(any_value(steps), [])) AS steps, listed(coalesce(any_value(buckets), [])) AS buckets,
    listed(coalesce(any_value(numbers), [])) AS numbers,
    listed(coalesce(any_value(profile_ids), [])) AS profile_ids, listed(coalesce(any_value(sinces), [])) AS sinces,
    listed(coalesce(any_value(untils), [])) AS untils
FROM (
    FROM rolled UNION ALL BY NAME FROM totals UNION ALL BY NAME FROM present
)
GROUP BY ALL;
