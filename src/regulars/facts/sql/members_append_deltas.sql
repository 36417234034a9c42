-- Part of members_recompute.sql: appends the net changes as deltas for compaction.
pieces AS MATERIALIZED (
    SELECT profile_id, groups, since, until, sum(sign) AS n
    FROM member_spans
    WHERE since < until AND groups <> '{}'
    GROUP BY profile_id, groups, since, until
    HAVING sum(sign) <> 0
),
group_edges AS MATERIALIZED (
    SELECT groups, at, sum(n) AS n
    FROM (
        SELECT groups, since AS at, n FROM pieces
        UNION ALL
        SELECT groups, until, -n FROM pieces WHERE until < 'infinity'
    ) AS edges
    GROUP BY groups, at
    HAVING sum(n) <> 0
),
appended_group_deltas AS (
    INSERT INTO group_count_deltas (community_id, bucket, grouping_type, grouping_value, n, changed_at)
    SELECT
        $1, bucket, split_part(name, ':', 1), substr(name, 1 + position(':' IN name)), n, $3
    FROM (
        SELECT bucket, name, sum(n) AS n
        FROM (SELECT groups, n, bucket_start(at, '5m', $4) AS bucket FROM group_edges OFFSET 0) AS bucketed
        CROSS JOIN LATERAL unnest(groups) AS name
        GROUP BY bucket, name
        HAVING sum(n) <> 0
    ) AS netted
    RETURNING 1
),
appended_flow_deltas AS (
    INSERT INTO member_flow_deltas (
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
        WHERE is_counted
        UNION ALL
        SELECT
            -1, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false
        FROM stored_events
        WHERE is_counted
    ) AS both_ways
    GROUP BY
        bucket_start(at, '5m', $4), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false
    HAVING sum(n) <> 0
    RETURNING 1
),
