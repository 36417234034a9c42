-- Part of members_recompute.sql: appends the net changes as deltas for compaction.
pieces AS MATERIALIZED (
    SELECT profile_id, groups, valid_from, valid_to, sum(sign) AS delta
    FROM member_spans
    WHERE valid_from < valid_to AND groups <> '{}'
    GROUP BY profile_id, groups, valid_from, valid_to
    HAVING sum(sign) <> 0
),
group_edges AS MATERIALIZED (
    SELECT groups, at, sum(delta) AS delta
    FROM (
        SELECT groups, valid_from AS at, delta FROM pieces
        UNION ALL
        SELECT groups, valid_to, -delta FROM pieces WHERE valid_to < 'infinity'
    ) AS edges
    GROUP BY groups, at
    HAVING sum(delta) <> 0
),
appended_group_deltas AS (
    INSERT INTO group_count_deltas (community_id, bucket, grouping_type, grouping_value, delta, changed_at)
    SELECT
        $1, bucket, split_part(name, ':', 1), substr(name, 1 + position(':' IN name)), delta, $3
    FROM (
        SELECT bucket, name, sum(delta) AS delta
        FROM (SELECT groups, delta, bucket_start(at, '5m', $4) AS bucket FROM group_edges OFFSET 0) AS bucketed
        CROSS JOIN LATERAL unnest(groups) AS name
        GROUP BY bucket, name
        HAVING sum(delta) <> 0
    ) AS netted
    RETURNING 1
),
appended_flow_deltas AS (
    INSERT INTO member_flow_deltas (
        community_id, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
        consents_false, delta
    )
    SELECT
        $1, bucket_start(occurred_at, '5m', $4), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false, sum(delta)
    FROM (
        SELECT
            1 AS delta, occurred_at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false
        FROM events
        WHERE is_counted
        UNION ALL
        SELECT
            -1, occurred_at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false
        FROM stored_events
        WHERE is_counted
    ) AS both_ways
    GROUP BY
        bucket_start(occurred_at, '5m', $4), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false
    HAVING sum(delta) <> 0
    RETURNING 1
),
