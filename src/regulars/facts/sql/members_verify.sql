-- What is stored of the members of community $1 and differs from what the facts say at $5; rollups, see bucket_totals.sql.
-- Recomputed in another way than recorded: not from spans, but from the groups of each profile before and after each
-- timestamp at which something changed. Earlier states of a profile are only known from member_dimension_history.
WITH own AS MATERIALIZED (
    SELECT p.*, m.valid_from, coalesce(m.next_change_at, 'infinity') AS next_change_at
    FROM profiles AS p
    LEFT JOIN members AS m ON m.community_id = $1 AND m.profile_id = p.profile_id
    WHERE p.community_id = $1
),
reachable AS MATERIALIZED (
    SELECT profile_id, channel
    FROM own
    CROSS JOIN (VALUES ('sms'), ('email'), ('push')) AS channels (channel)
    WHERE channel = ANY (reachable_channels(consents, sms_status, email_status, push_status))
),
group_memberships AS MATERIALIZED (
    SELECT profile_id, 'all' AS type, '' AS value FROM own
    UNION ALL SELECT profile_id, 'optin_channel', optin_channel FROM own
    UNION ALL SELECT profile_id, 'optin_subchannel', optin_subchannel FROM own
    UNION ALL SELECT profile_id, 'optin_platform', optin_platform(optin_channel) FROM own
    UNION ALL SELECT profile_id, 'gender', gender FROM own
    UNION ALL SELECT profile_id, 'birth_year_group', CAST(birth_year / 5 * 5 AS text) FROM own
    UNION ALL
    SELECT profile_id, CASE WHEN answer::boolean THEN 'consent_true' ELSE 'consent_false' END, name
    FROM own, jsonb_each_text(consents) AS answers (name, answer)
    UNION ALL SELECT profile_id, 'subunit_id', id::text FROM own, unnest(subunit_ids) AS id
    UNION ALL SELECT profile_id, 'group_id', id::text FROM own, unnest(group_ids) AS id
    UNION ALL SELECT profile_id, 'favorite_store', id::text FROM own, unnest(favorite_stores) AS id
    UNION ALL SELECT profile_id, 'marketing_true', channel FROM reachable
    UNION ALL SELECT DISTINCT profile_id, 'marketing_true', 'anything' FROM reachable
    UNION ALL
    SELECT own.profile_id, 'marketing_false', channel
    FROM own
    CROSS JOIN (VALUES ('sms'), ('email'), ('push')) AS channels (channel)
    WHERE NOT EXISTS (
        SELECT FROM reachable WHERE reachable.profile_id = own.profile_id AND reachable.channel = channels.channel
    )
    UNION ALL
    SELECT profile_id, 'marketing_false', 'anything'
    FROM own
    WHERE NOT EXISTS (SELECT FROM reachable WHERE reachable.profile_id = own.profile_id)
    UNION ALL
    SELECT own.profile_id, 'country', coalesce(min(first.country), min(own.phone_country))
    FROM own
    LEFT JOIN (
        SELECT DISTINCT ON (profile_id) profile_id, country
        FROM addresses
        WHERE community_id = $1 AND country IS NOT NULL
        ORDER BY profile_id, is_default DESC, id
    ) AS first ON first.profile_id = own.profile_id
    GROUP BY own.profile_id
),
present AS MATERIALIZED (
    SELECT
        own.profile_id,
        coalesce(array_agg(s.type || ':' || s.value ORDER BY s.type || ':' || s.value COLLATE "C")
            FILTER (WHERE s.value IS NOT NULL AND own.profile_type <> ALL ('{deleted,system,temporary}')), '{}'
        ) AS groups
    FROM own
    JOIN group_memberships AS s ON s.profile_id = own.profile_id
    GROUP BY own.profile_id
),
states AS MATERIALIZED (
    SELECT profile_id, valid_from, valid_to, groups FROM member_dimension_history WHERE community_id = $1
    UNION ALL
    SELECT own.profile_id, own.valid_from, 'infinity', present.groups
    FROM own
    JOIN present ON present.profile_id = own.profile_id
),
effective_memberships AS MATERIALIZED (
    SELECT m.profile_id, m.id, m.type, m.occurred_at AS at
    FROM memberships AS m
    JOIN own ON own.profile_id = m.profile_id
    WHERE m.community_id = $1 AND m.is_effective AND m.occurred_at <= $5 AND m.occurred_at < own.next_change_at
),
membership_lists AS MATERIALIZED (
    SELECT profile_id, array_agg(at ORDER BY at, id) AS at, array_agg(type ORDER BY at, id) AS types
    FROM effective_memberships
    GROUP BY profile_id
),
change_times AS MATERIALIZED (
    SELECT each.profile_id, each.at, latest.type
    FROM (
        SELECT profile_id, at FROM effective_memberships
        UNION
        SELECT profile_id, valid_from FROM states WHERE valid_from > '-infinity'
    ) AS each
    LEFT JOIN membership_lists AS own ON own.profile_id = each.profile_id
    LEFT JOIN LATERAL (
        SELECT membership.type
        FROM unnest(own.at, own.types) WITH ORDINALITY AS membership (at, type, place)
        WHERE membership.at <= each.at
        ORDER BY membership.place DESC
        LIMIT 1
    ) AS latest ON TRUE
),
groups_at AS MATERIALIZED (
    SELECT change_times.profile_id, change_times.at, name AS group_name
    FROM change_times
    JOIN states AS s ON s.profile_id = change_times.profile_id AND s.valid_from <= change_times.at
        AND change_times.at < s.valid_to
    CROSS JOIN unnest(s.groups) AS name
    WHERE change_times.type = 'in'
),
next_times AS MATERIALIZED (
    SELECT profile_id, at, lead(at) OVER (PARTITION BY profile_id ORDER BY at) AS next_at FROM change_times
),
group_changes AS MATERIALIZED (
    SELECT group_name, at, sum(delta) AS delta
    FROM (
        SELECT group_name, at, 1 AS delta FROM groups_at
        UNION ALL
        SELECT groups_at.group_name, next_times.next_at, -1
        FROM groups_at
        JOIN next_times ON next_times.profile_id = groups_at.profile_id AND next_times.at = groups_at.at
        WHERE next_times.next_at IS NOT NULL
    ) AS both_ways
    GROUP BY group_name, at
),
-- Reads skip deltas below the watermark.
state AS MATERIALIZED (
    SELECT coalesce((SELECT watermark FROM compaction_state WHERE community_id = $1), '0') AS watermark
),
uncompacted AS MATERIALIZED (
    SELECT grouping_type || ':' || grouping_value AS group_name, bucket, delta
    FROM group_count_deltas
    WHERE community_id = $1 AND recorded_xid >= (SELECT watermark FROM state)
),
balance AS MATERIALIZED (
    SELECT
        granularity, bucket, dimension_set, type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false, count
    FROM balance_rollups
    WHERE community_id = $1
),
-- Joins and leaves with fewer dimensions than all are compared with the sums of those with all.
balance_sums AS (
    SELECT
        granularity, bucket,
        CASE grouping(optin_channel, optin_subchannel, optin_platform, gender, age, consents_true)
            WHEN 63 THEN ''
            WHEN 31 THEN 'optin_channel'
            WHEN 47 THEN 'optin_subchannel'
            WHEN 55 THEN 'optin_platform'
            WHEN 59 THEN 'gender'
            WHEN 61 THEN 'age'
            WHEN 62 THEN 'consents'
        END AS dimension_set,
        type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false,
        sum(count) AS count
    FROM balance
    WHERE dimension_set = 'all'
    GROUP BY granularity, bucket, type, GROUPING SETS (
        (),
        (optin_channel),
        (optin_subchannel),
        (optin_platform),
        (gender),
        (age),
        (consents_true, consents_false)
    )
),
stored_buckets AS (
    SELECT
        'group ' || grouping_type || ':' || grouping_value AS key, 'change' AS counted, granularity, bucket, delta AS stored,
        0 AS recomputed
    FROM group_rollups
    WHERE community_id = $1
    UNION ALL
    SELECT
        concat_ws(' by ', 'balance', nullif(dimension_set, '')),
        ROW(
            type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
        )::text,
        granularity, bucket, stored, recomputed
    FROM (
        SELECT *, count AS stored, 0 AS recomputed FROM balance
        UNION ALL
        SELECT *, 0, count FROM balance_sums
    ) AS joins_and_leaves
),
changes AS (
    SELECT 'group ' || group_name AS key, 'change' AS counted, bucket AS at, delta AS stored, 0 AS recomputed
    FROM uncompacted
    UNION ALL
    SELECT 'group ' || group_name, 'change', at, 0, delta FROM group_changes
    UNION ALL
    SELECT
        'balance by all',
        ROW(
            type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
        )::text,
        at, stored, recomputed
    FROM (
        SELECT
            bucket AS at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false, delta AS stored, 0 AS recomputed
        FROM member_flow_deltas
        WHERE community_id = $1 AND recorded_xid >= (SELECT watermark FROM state)
        UNION ALL
        SELECT
            occurred_at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false, 0, 1
        FROM membership_events
        WHERE community_id = $1 AND is_counted
    ) AS joins_and_leaves
),
-- include: bucket_totals
SELECT key, name, stored, recomputed
FROM (
    SELECT 'profile ' || own.profile_id AS key, 'groups' AS name,
           ARRAY(SELECT name FROM unnest(m.groups) AS name ORDER BY name COLLATE "C")::text AS stored,
           present.groups::text AS recomputed
    FROM own
    JOIN present ON present.profile_id = own.profile_id
    LEFT JOIN members AS m ON m.community_id = $1 AND m.profile_id = own.profile_id
    UNION ALL
    SELECT 'profile ' || m.profile_id, 'is_member', m.is_member::text,
           coalesce(
               m.groups <> '{}' AND 'in' = membership_lists.types[cardinality(membership_lists.types)], FALSE
           )::text
    FROM members AS m
    LEFT JOIN membership_lists ON membership_lists.profile_id = m.profile_id
    WHERE m.community_id = $1
    UNION ALL
    SELECT 'profile ' || m.profile_id, 'members', 'a row', NULL
    FROM members AS m
    WHERE m.community_id = $1 AND m.member_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM own WHERE own.profile_id = m.profile_id)
    UNION ALL
    SELECT 'group ' || group_name, 'members_count', sum(stored)::text, sum(recomputed)::text
    FROM (
        SELECT grouping_type || ':' || grouping_value AS group_name, members_count AS stored, 0 AS recomputed
        FROM group_counts
        WHERE community_id = $1
        UNION ALL
        SELECT group_name, delta, 0 FROM uncompacted
        UNION ALL
        SELECT name, 0, 1 FROM members, unnest(groups) AS name WHERE community_id = $1 AND is_member
    ) AS counted
    GROUP BY group_name
    UNION ALL
    SELECT key, name, stored, recomputed FROM bucket_totals
) AS compared
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
