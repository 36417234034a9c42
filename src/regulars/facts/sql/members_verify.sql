-- What is stored of the members of community $1 beside what the facts say at $2, by another way than the one that keeps
-- it: not by spans, but by asking at each instant at which something changed in what a profile stood before and after.
-- As what it stood before its present state is known from nothing but member_states.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
own AS MATERIALIZED (
    SELECT p.*, m.state_since, coalesce(m.next_change_at, 'infinity') AS next_change_at
    FROM profiles AS p
    LEFT JOIN members AS m ON m.community_id = $1 AND m.profile_id = p.profile_id
    WHERE p.community_id = $1
),
reached AS MATERIALIZED (
    SELECT profile_id, channel
    FROM own
    CROSS JOIN (VALUES ('sms'), ('email'), ('push')) AS channels (channel)
    WHERE channel = ANY (reachable_channels(consents, sms_status, email_status, push_status))
),
standing AS MATERIALIZED (
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
    UNION ALL SELECT profile_id, 'marketing_true', channel FROM reached
    UNION ALL SELECT DISTINCT profile_id, 'marketing_true', 'anything' FROM reached
    UNION ALL
    SELECT own.profile_id, 'marketing_false', channel
    FROM own
    CROSS JOIN (VALUES ('sms'), ('email'), ('push')) AS channels (channel)
    WHERE NOT EXISTS (
        SELECT FROM reached WHERE reached.profile_id = own.profile_id AND reached.channel = channels.channel
    )
    UNION ALL
    SELECT profile_id, 'marketing_false', 'anything'
    FROM own
    WHERE NOT EXISTS (SELECT FROM reached WHERE reached.profile_id = own.profile_id)
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
    JOIN standing AS s ON s.profile_id = own.profile_id
    GROUP BY own.profile_id
),
states AS MATERIALIZED (
    SELECT profile_id, since, until, groups FROM member_states WHERE community_id = $1
    UNION ALL
    SELECT own.profile_id, own.state_since, 'infinity', present.groups
    FROM own
    JOIN present ON present.profile_id = own.profile_id
),
turns AS MATERIALIZED (
    SELECT m.profile_id, m.id, m.type, m.occurred_at AS at
    FROM memberships AS m
    JOIN own ON own.profile_id = m.profile_id
    WHERE m.community_id = $1 AND m.is_effective AND m.occurred_at <= $2 AND m.occurred_at < own.next_change_at
),
turns_of AS MATERIALIZED (
    SELECT profile_id, array_agg(at ORDER BY at, id) AS at, array_agg(type ORDER BY at, id) AS types
    FROM turns
    GROUP BY profile_id
),
instants AS MATERIALIZED (
    SELECT each.profile_id, each.at, latest.type
    FROM (
        SELECT profile_id, at FROM turns
        UNION
        SELECT profile_id, since FROM states WHERE since > '-infinity'
    ) AS each
    LEFT JOIN turns_of AS own ON own.profile_id = each.profile_id
    LEFT JOIN LATERAL (
        SELECT turn.type
        FROM unnest(own.at, own.types) WITH ORDINALITY AS turn (at, type, place)
        WHERE turn.at <= each.at
        ORDER BY turn.place DESC
        LIMIT 1
    ) AS latest ON TRUE
),
stood AS MATERIALIZED (
    SELECT instants.profile_id, instants.at, name AS what
    FROM instants
    JOIN states AS s ON s.profile_id = instants.profile_id AND s.since <= instants.at AND instants.at < s.until
    CROSS JOIN unnest(s.groups) AS name
    WHERE instants.type = 'in'
),
following AS MATERIALIZED (
    SELECT profile_id, at, lead(at) OVER (PARTITION BY profile_id ORDER BY at) AS next_at FROM instants
),
moves AS MATERIALIZED (
    SELECT what, at, sum(n) AS n
    FROM (
        SELECT what, at, 1 AS n FROM stood
        UNION ALL
        SELECT stood.what, following.next_at, -1
        FROM stood
        JOIN following ON following.profile_id = stood.profile_id AND following.at = stood.at
        WHERE following.next_at IS NOT NULL
    ) AS both_ways
    GROUP BY what, at
),
unfolded AS MATERIALIZED (
    SELECT grouping_type || ':' || grouping_value AS what, bucket, n FROM group_deltas WHERE community_id = $1
),
granularities AS MATERIALIZED (
    SELECT granularity, coalesce(retention_start, '-infinity') AS retention_start
    FROM unnest($3::text[], $4::timestamptz[]) AS granularities (granularity, retention_start)
),
rolled AS MATERIALIZED (
    SELECT granularity, bucket, what, sum(stored) AS stored, sum(recomputed) AS recomputed
    FROM (
        SELECT r.granularity, r.bucket, r.grouping_type || ':' || r.grouping_value AS what, r.n AS stored, 0 AS recomputed
        FROM group_rollups AS r
        JOIN granularities ON granularities.granularity = r.granularity AND r.bucket >= granularities.retention_start
        WHERE r.community_id = $1
        UNION ALL
        SELECT granularity, bucket, what, stored, recomputed
        FROM (
            SELECT granularities.granularity, granularities.retention_start, bucket_start(told.at, granularities.granularity, zone.timezone) AS bucket, what, stored,
                   recomputed
            FROM (
                SELECT what, bucket AS at, n AS stored, 0 AS recomputed FROM unfolded
                UNION ALL
                SELECT what, at, 0, n FROM moves
            ) AS told
            CROSS JOIN granularities
            CROSS JOIN zone
            OFFSET 0
        ) AS bucketed
        WHERE bucket >= retention_start
    ) AS both_ways
    GROUP BY granularity, bucket, what
),
joined AS MATERIALIZED (
    SELECT granularity, bucket, type, sum(stored) AS stored, sum(recomputed) AS recomputed
    FROM (
        SELECT r.granularity, r.bucket, r.type, r.n AS stored, 0 AS recomputed
        FROM balance_rollups AS r
        JOIN granularities ON granularities.granularity = r.granularity AND r.bucket >= granularities.retention_start
        WHERE r.community_id = $1 AND r.grain = 'all'
        UNION ALL
        SELECT granularity, bucket, type, stored, recomputed
        FROM (
            SELECT granularities.granularity, granularities.retention_start, bucket_start(told.at, granularities.granularity, zone.timezone) AS bucket, type, stored,
                   recomputed
            FROM (
                SELECT type, bucket AS at, n AS stored, 0 AS recomputed FROM balance_deltas WHERE community_id = $1
                UNION ALL
                SELECT turns.type, turns.at, 0, 1
                FROM turns
                WHERE EXISTS (
                    SELECT FROM states AS s
                    WHERE s.profile_id = turns.profile_id AND s.groups <> '{}'
                        AND s.since <= turns.at AND turns.at <= s.until
                )
            ) AS told
            CROSS JOIN granularities
            CROSS JOIN zone
            OFFSET 0
        ) AS bucketed
        WHERE bucket >= retention_start
    ) AS both_ways
    GROUP BY granularity, bucket, type
)
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
           coalesce(m.groups <> '{}' AND 'in' = turns_of.types[cardinality(turns_of.types)], FALSE)::text
    FROM members AS m
    LEFT JOIN turns_of ON turns_of.profile_id = m.profile_id
    WHERE m.community_id = $1
    UNION ALL
    SELECT 'profile ' || m.profile_id, 'members', 'a row', NULL
    FROM members AS m
    WHERE m.community_id = $1 AND m.member_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM own WHERE own.profile_id = m.profile_id)
    UNION ALL
    SELECT 'group ' || what, 'members_count', sum(stored)::text, sum(recomputed)::text
    FROM (
        SELECT grouping_type || ':' || grouping_value AS what, members_count AS stored, 0 AS recomputed
        FROM group_counts
        WHERE community_id = $1
        UNION ALL
        SELECT what, n, 0 FROM unfolded
        UNION ALL
        SELECT name, 0, 1 FROM members, unnest(groups) AS name WHERE community_id = $1 AND is_member
    ) AS counted
    GROUP BY what
    UNION ALL
    SELECT 'group ' || what, 'change in the ' || granularity || ' from ' || bucket, stored::text, recomputed::text FROM rolled
    UNION ALL
    SELECT 'balance', type || ' in the ' || granularity || ' from ' || bucket, stored::text, recomputed::text FROM joined
) AS told
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
