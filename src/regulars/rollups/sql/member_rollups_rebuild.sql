-- Everything that community $1 keeps by bucket begins anew, from what has been told of each member, by the clock of
-- zone $2. A fold must follow, and rebuild_snapshots.sql.
--
-- One statement, so that one snapshot: what others append meanwhile is not in the members that it sees, and what they
-- have appended is taken off again. No count changes, so none is told to have been updated.
WITH told AS MATERIALIZED (
    SELECT * FROM membership_events WHERE community_id = $1
),
states AS MATERIALIZED (
    SELECT profile_id, since, until, groups FROM member_states WHERE community_id = $1
    UNION ALL
    SELECT profile_id, state_since, 'infinity', groups FROM members WHERE community_id = $1
),
stood AS MATERIALIZED (
    SELECT s.groups, greatest(span.at, s.since) AS since, least(span.until, s.until) AS until
    FROM (
        SELECT
            profile_id, type, at,
            lead(at, 1, 'infinity') OVER (PARTITION BY profile_id ORDER BY at, membership_id) AS until
        FROM told
    ) AS span
    JOIN states AS s ON s.profile_id = span.profile_id
    WHERE span.type = 'in'
),
moves AS MATERIALIZED (
    SELECT bucket, name, sum(n) AS n
    FROM (
        SELECT groups, bucket_start(at, '5m', $2) AS bucket, n
        FROM (
            SELECT groups, since AS at, 1 AS n FROM stood WHERE since < until
            UNION ALL
            SELECT groups, until, -1 FROM stood WHERE since < until AND until < 'infinity'
        ) AS edges
        OFFSET 0
    ) AS bucketed
    CROSS JOIN LATERAL unnest(groups) AS name
    GROUP BY bucket, name
    HAVING sum(n) <> 0
),
gone_groups AS (
    DELETE FROM group_rollups WHERE community_id = $1
),
gone_balance AS (
    DELETE FROM balance_rollups WHERE community_id = $1
),
gone_snapshots AS (
    DELETE FROM snapshot_rollups WHERE community_id = $1
),
zeroed AS (
    UPDATE group_counts SET members_count = 0 WHERE community_id = $1
),
group_moves AS (
    INSERT INTO group_deltas (community_id, bucket, grouping_type, grouping_value, n, changed_at)
    SELECT
        $1, bucket, split_part(name, ':', 1), substr(name, 1 + position(':' IN name)), n,
        CAST('-infinity' AS timestamptz)
    FROM moves
    UNION ALL
    SELECT $1, bucket, grouping_type, grouping_value, -n, CAST('-infinity' AS timestamptz)
    FROM group_deltas
    WHERE community_id = $1
),
balance_moves AS (
    INSERT INTO balance_deltas (
        community_id, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
        consents_false, n
    )
    SELECT
        $1, bucket_start(at, '5m', $2), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false, count(*)
    FROM told
    WHERE is_told
    GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, 10
    UNION ALL
    SELECT
        $1, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
        consents_false, -n
    FROM balance_deltas
    WHERE community_id = $1
)
SELECT 1
