-- Rebuilds the rollups of the members of community $1 from their history, by the clock of time zone $2: deletes them,
-- and appends deltas for everything. A compaction must follow, and snapshots_rebuild.sql.
--
-- One statement has one snapshot: deltas that others append meanwhile are not in the history that it sees, and those
-- that it sees are subtracted. No count changes, so none gets a new time of update.
WITH membership_history AS MATERIALIZED (
    SELECT * FROM membership_events WHERE community_id = $1
),
states AS MATERIALIZED (
    SELECT profile_id, valid_from, valid_to, groups FROM member_dimension_history WHERE community_id = $1
    UNION ALL
    SELECT profile_id, valid_from, 'infinity', groups FROM members WHERE community_id = $1
),
member_spans AS MATERIALIZED (
    SELECT s.groups, greatest(span.occurred_at, s.valid_from) AS valid_from,
        least(span.valid_to, s.valid_to) AS valid_to
    FROM (
        SELECT
            profile_id, type, occurred_at,
            lead(occurred_at, 1, 'infinity')
                OVER (PARTITION BY profile_id ORDER BY occurred_at, membership_id) AS valid_to
        FROM membership_history
    ) AS span
    JOIN states AS s ON s.profile_id = span.profile_id
    WHERE span.type = 'in'
),
group_changes AS MATERIALIZED (
    SELECT bucket, name, sum(delta) AS delta
    FROM (
        SELECT groups, bucket_start(at, '5m', $2) AS bucket, delta
        FROM (
            SELECT groups, valid_from AS at, 1 AS delta FROM member_spans WHERE valid_from < valid_to
            UNION ALL
            SELECT groups, valid_to, -1 FROM member_spans WHERE valid_from < valid_to AND valid_to < 'infinity'
        ) AS edges
        OFFSET 0
    ) AS bucketed
    CROSS JOIN LATERAL unnest(groups) AS name
    GROUP BY bucket, name
    HAVING sum(delta) <> 0
),
deleted_group_rollups AS (
    DELETE FROM group_rollups WHERE community_id = $1
),
deleted_balance_rollups AS (
    DELETE FROM balance_rollups WHERE community_id = $1
),
deleted_snapshot_rollups AS (
    DELETE FROM snapshot_rollups WHERE community_id = $1
),
reset_counts AS (
    UPDATE group_counts SET members_count = 0 WHERE community_id = $1
),
appended_group_deltas AS (
    INSERT INTO group_count_deltas (community_id, bucket, grouping_type, grouping_value, delta, changed_at)
    SELECT
        $1, bucket, split_part(name, ':', 1), substr(name, 1 + position(':' IN name)), delta,
        CAST('-infinity' AS timestamptz)
    FROM group_changes
    UNION ALL
    SELECT $1, bucket, grouping_type, grouping_value, -delta, CAST('-infinity' AS timestamptz)
    FROM group_count_deltas
    WHERE community_id = $1
),
appended_flow_deltas AS (
    INSERT INTO member_flow_deltas (
        community_id, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
        consents_false, delta
    )
    SELECT
        $1, bucket_start(occurred_at, '5m', $2), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false, count(*)
    FROM membership_history
    WHERE is_counted
    GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, 10
    UNION ALL
    SELECT
        $1, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
        consents_false, -delta
    FROM member_flow_deltas
    WHERE community_id = $1
)
SELECT 1
