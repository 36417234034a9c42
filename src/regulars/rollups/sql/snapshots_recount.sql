-- Counts profiles $2 of community $1 in all past snapshots anew, by the clock of zone $3, in the rollups of granularities $4,
-- of each from the bucket in $5 on (null: all): as they stood by their memberships, or, where they are gone, not at all.
--
-- The caller holds the lock of snapshots and the profiles' locks since earlier statements.
WITH counted AS MATERIALIZED (
    SELECT profile_id, since, until, alike FROM snapshot_members WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
),
states AS MATERIALIZED (
    SELECT
        profile_id, since, until, groups, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
        consents_true, consents_false
    FROM member_states
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
    UNION ALL
    SELECT
        profile_id, state_since, 'infinity', groups, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, consents_true, consents_false
    FROM members
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
),
spans AS MATERIALIZED (
    SELECT profile_id, type, at, lead(at, 1, 'infinity') OVER (PARTITION BY profile_id ORDER BY at, membership_id) AS until
    FROM membership_events
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
),
-- From birthday to birthday at which another age group begins; 29 February turns on 1 March.
aged AS MATERIALIZED (
    SELECT
        states.*, greatest(spans.at, states.since, turns.since) AS from_at,
        least(spans.until, states.until, turns.until) AS to_at,
        turns.age
    FROM spans
    JOIN states ON states.profile_id = spans.profile_id AND states.groups <> '{}'
    CROSS JOIN LATERAL (
        SELECT
            coalesce(turn, '-infinity') AS since,
            coalesce(lead(turn) OVER (ORDER BY min_age NULLS FIRST), 'infinity') AS until,
            age
        FROM (
            SELECT
                name AS age,
                min_age,
                CAST(
                    make_date(birth_date / 10000 + min_age, birth_date / 100 % 100, 1) + (birth_date % 100 - 1)
                    AS timestamp
                ) AT TIME ZONE $3 AS turn
            FROM age_groups()
            WHERE birth_date IS NOT NULL
            UNION ALL
            SELECT NULL, NULL, NULL WHERE birth_date IS NULL
        ) AS birthdays
    ) AS turns
    WHERE spans.type = 'in'
),
gridded AS MATERIALIZED (
    SELECT
        aged.profile_id, optin_channel, optin_subchannel, optin_platform, gender, age,
        substr((SELECT name FROM unnest(groups) AS name WHERE name LIKE 'country:%'), 9) AS country,
        consents_true, consents_false,
        date_bin('15 minutes', from_at + interval '15 minutes' - interval '1 microsecond', '2000-01-01Z') AS since,
        CASE
            -- The last snapshot knows nothing of what comes after it.
            WHEN to_at > $6 THEN 'infinity'
            ELSE date_bin('15 minutes', to_at + interval '15 minutes' - interval '1 microsecond', '2000-01-01Z')
        END AS until
    FROM aged
    WHERE from_at < to_at
),
wanted AS MATERIALIZED (
    SELECT
        gridded.*,
        CAST(md5(CAST(ROW(
            optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
        ) AS text)) AS uuid) AS alike
    FROM gridded
    WHERE since < until AND since <= $6
),
changes AS MATERIALIZED (
    SELECT alike, at, sum(n) AS n
    FROM (
        SELECT alike, since AS at, 1 AS n FROM wanted
        UNION ALL
        SELECT alike, until, -1 FROM wanted WHERE until < 'infinity'
        UNION ALL
        SELECT alike, since, -1 FROM counted
        UNION ALL
        SELECT alike, until, 1 FROM counted WHERE until < 'infinity'
    ) AS edges
    GROUP BY alike, at
    HAVING sum(n) <> 0
),
dropped AS (
    DELETE FROM snapshot_members
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
        AND (profile_id, since) NOT IN (SELECT profile_id, since FROM wanted)
),
put_members AS (
    INSERT INTO snapshot_members (community_id, profile_id, since, until, alike)
    SELECT $1, profile_id, since, until, alike FROM wanted
    ON CONFLICT (community_id, profile_id, since) DO UPDATE
    SET until = excluded.until, alike = excluded.alike
),
put AS (
    INSERT INTO snapshot_counts (
        community_id, alike, members_count, optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    )
    SELECT DISTINCT ON (alike)
        $1, alike, coalesce(total.n, 0), optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    FROM wanted
    LEFT JOIN (SELECT alike, sum(n) AS n FROM changes GROUP BY alike) AS total USING (alike)
    ON CONFLICT (community_id, alike) DO UPDATE
    SET members_count = snapshot_counts.members_count + excluded.members_count
),
lowered AS (
    UPDATE snapshot_counts AS kept
    SET members_count = kept.members_count + total.n
    FROM (SELECT alike, sum(n) AS n FROM changes GROUP BY alike) AS total
    WHERE kept.community_id = $1 AND kept.alike = total.alike
        AND NOT EXISTS (SELECT FROM wanted WHERE wanted.alike = total.alike)
),
rolled AS (
    INSERT INTO snapshot_rollups AS kept (community_id, granularity, bucket, alike, n)
    SELECT $1, granularity, bucket, alike, sum(n)
    FROM (
        SELECT granularity, retention_start, alike, n, bucket_start(at, granularity, $3) AS bucket
        FROM changes
        CROSS JOIN unnest($4::text[], $5::timestamptz[]) AS granularities (granularity, retention_start)
        OFFSET 0
    ) AS bucketed
    WHERE retention_start IS NULL OR bucket >= retention_start
    GROUP BY granularity, bucket, alike
    ON CONFLICT (community_id, granularity, bucket, alike) DO UPDATE
    SET n = kept.n + excluded.n
),
extended AS (
    UPDATE snapshot_runs
    SET first_at = least(first_at, (SELECT min(since) FROM wanted))
    WHERE community_id = $1
        AND first_at = (SELECT min(first_at) FROM snapshot_runs WHERE community_id = $1)
    RETURNING 1
),
begun AS (
    INSERT INTO snapshot_runs (community_id, first_at, last_at)
    SELECT $1, min(since), $6 FROM wanted HAVING min(since) IS NOT NULL AND NOT EXISTS (SELECT FROM extended)
)
SELECT count(*) FROM wanted
