-- Part of derive.sql: what changes, netted, is appended for the folder.
pieces AS MATERIALIZED (
    SELECT profile_id, groups, since, until, sum(sign) AS n
    FROM stood
    WHERE since < until AND groups <> '{}'
    GROUP BY profile_id, groups, since, until
    HAVING sum(sign) <> 0
),
moved AS MATERIALIZED (
    SELECT groups, at, sum(n) AS n
    FROM (
        SELECT groups, since AS at, n FROM pieces
        UNION ALL
        SELECT groups, until, -n FROM pieces WHERE until < 'infinity'
    ) AS edges
    GROUP BY groups, at
    HAVING sum(n) <> 0
),
group_moves AS (
    INSERT INTO group_deltas (community_id, bucket, grouping_type, grouping_value, n, changed_at)
    SELECT
        $1, bucket, split_part(name, ':', 1), substr(name, 1 + position(':' IN name)), n, $3
    FROM (
        SELECT bucket, name, sum(n) AS n
        FROM (SELECT groups, n, bucket_start(at, '5m', $4) AS bucket FROM moved OFFSET 0) AS bucketed
        CROSS JOIN LATERAL unnest(groups) AS name
        GROUP BY bucket, name
        HAVING sum(n) <> 0
    ) AS netted
    RETURNING 1
),
balance_moves AS (
    INSERT INTO balance_deltas (
        community_id, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
        consents_false, n
    )
    SELECT
        $1, bucket_start(at, '5m', $4), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false, sum(n)
    FROM (
        SELECT
            1 AS n, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false
        FROM events
        WHERE is_told
        UNION ALL
        SELECT
            -1, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false
        FROM told
        WHERE is_told
    ) AS both_ways
    GROUP BY
        bucket_start(at, '5m', $4), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false
    HAVING sum(n) <> 0
    RETURNING 1
),
