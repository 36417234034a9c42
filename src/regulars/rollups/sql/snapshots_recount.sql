-- Recounts profiles $2 of community $1 in all past snapshots, up to the last one at $6: by their memberships, or not at
-- all if they were erased. Updates the rollups of the granularities $4, each from the bucket $5 on (null: all), by the
-- clock of time zone $3. Returns the number of periods in which the profiles are counted.
--
-- Earlier statements locked the snapshots and the profiles.
WITH stored_periods AS MATERIALIZED (
    SELECT profile_id, valid_from, valid_to, dimensions_hash FROM snapshot_members WHERE community_id = $1
        AND profile_id = ANY ($2::uuid[])
),
states AS MATERIALIZED (
    SELECT
        profile_id, valid_from, valid_to, groups, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
        consents_true, consents_false
    FROM member_dimension_history
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
    UNION ALL
    SELECT
        profile_id, valid_from, 'infinity', groups, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, consents_true, consents_false
    FROM members
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
),
spans AS MATERIALIZED (
    SELECT profile_id, type, occurred_at,
        lead(occurred_at, 1, 'infinity') OVER (PARTITION BY profile_id ORDER BY occurred_at, membership_id) AS valid_to
    FROM membership_events
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
),
-- From birthday to birthday at which another age group begins; 29 February turns on 1 March.
aged AS MATERIALIZED (
    SELECT
        states.*, greatest(spans.occurred_at, states.valid_from, turns.valid_from) AS from_at,
        least(spans.valid_to, states.valid_to, turns.valid_to) AS to_at,
        turns.age
    FROM spans
    JOIN states ON states.profile_id = spans.profile_id AND states.groups <> '{}'
    CROSS JOIN LATERAL (
        SELECT
            coalesce(turn, '-infinity') AS valid_from,
            coalesce(lead(turn) OVER (ORDER BY min_age NULLS FIRST), 'infinity') AS valid_to,
            age
        FROM (
            SELECT
                name AS age,
                min_age,
                CAST(
                    make_date(birth_date / 10000 + min_age, birth_date / 100 % 100, 1) + (birth_date % 100 - 1)
                    AS timestamp
                ) AT TIME ZONE (SELECT timezone FROM communities WHERE id = $1) AS turn
            FROM age_groups()
            WHERE birth_date IS NOT NULL
            UNION ALL
            SELECT NULL, NULL, NULL WHERE birth_date IS NULL
        ) AS birthdays
    ) AS turns
    WHERE spans.type = 'in'
),
snapshot_periods AS MATERIALIZED (
    SELECT
        aged.profile_id, optin_channel, optin_subchannel, optin_platform, gender, age,
        substr((SELECT name FROM unnest(groups) AS name WHERE name LIKE 'country:%'), 9) AS country,
        consents_true, consents_false,
        date_bin('15 minutes', from_at + interval '15 minutes' - interval '1 microsecond', '2000-01-01Z') AS valid_from,
        CASE
            -- The last snapshot knows nothing of what comes after it.
            WHEN to_at > $6 THEN 'infinity'
            ELSE date_bin('15 minutes', to_at + interval '15 minutes' - interval '1 microsecond', '2000-01-01Z')
        END AS valid_to
    FROM aged
    WHERE from_at < to_at
),
periods AS MATERIALIZED (
    SELECT
        snapshot_periods.*,
        CAST(md5(CAST(ROW(
            optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
        ) AS text)) AS uuid) AS dimensions_hash
    FROM snapshot_periods
    WHERE valid_from < valid_to AND valid_from <= $6
),
changes AS MATERIALIZED (
    SELECT dimensions_hash, at, sum(delta) AS delta
    FROM (
        SELECT dimensions_hash, valid_from AS at, 1 AS delta FROM periods
        UNION ALL
        SELECT dimensions_hash, valid_to, -1 FROM periods WHERE valid_to < 'infinity'
        UNION ALL
        SELECT dimensions_hash, valid_from, -1 FROM stored_periods
        UNION ALL
        SELECT dimensions_hash, valid_to, 1 FROM stored_periods WHERE valid_to < 'infinity'
    ) AS edges
    GROUP BY dimensions_hash, at
    HAVING sum(delta) <> 0
),
deleted_periods AS (
    DELETE FROM snapshot_members
    WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])
        AND (profile_id, valid_from) NOT IN (SELECT profile_id, valid_from FROM periods)
),
stored_members AS (
    INSERT INTO snapshot_members (community_id, profile_id, valid_from, valid_to, dimensions_hash)
    SELECT $1, profile_id, valid_from, valid_to, dimensions_hash FROM periods
    ON CONFLICT (community_id, profile_id, valid_from) DO UPDATE
    SET valid_to = excluded.valid_to, dimensions_hash = excluded.dimensions_hash
),
inserted_counts AS (
    INSERT INTO snapshot_counts (
        community_id, dimensions_hash, members_count, optin_channel, optin_subchannel, optin_platform, gender, age,
        country, consents_true, consents_false
    )
    SELECT DISTINCT ON (dimensions_hash)
        $1, dimensions_hash, coalesce(total.delta, 0), optin_channel, optin_subchannel, optin_platform, gender, age,
        country, consents_true, consents_false
    FROM periods
    LEFT JOIN (
        SELECT dimensions_hash, sum(delta) AS delta FROM changes GROUP BY dimensions_hash
    ) AS total USING (dimensions_hash)
    ON CONFLICT (community_id, dimensions_hash) DO UPDATE
    SET members_count = snapshot_counts.members_count + excluded.members_count
),
updated_counts AS (
    UPDATE snapshot_counts AS stored
    SET members_count = stored.members_count + total.delta
    FROM (SELECT dimensions_hash, sum(delta) AS delta FROM changes GROUP BY dimensions_hash) AS total
    WHERE stored.community_id = $1 AND stored.dimensions_hash = total.dimensions_hash
        AND NOT EXISTS (SELECT FROM periods WHERE periods.dimensions_hash = total.dimensions_hash)
),
updated_rollups AS (
    INSERT INTO snapshot_rollups AS stored (community_id, granularity, bucket, dimensions_hash, delta)
    SELECT $1, granularity, bucket, dimensions_hash, sum(delta)
    FROM (
        SELECT granularity, retention_start, dimensions_hash, delta, bucket_start(at, granularity, $3) AS bucket
        FROM changes
        CROSS JOIN unnest($4::text[], $5::timestamptz[]) AS granularities (granularity, retention_start)
        OFFSET 0
    ) AS bucketed
    WHERE retention_start IS NULL OR bucket >= retention_start
    GROUP BY granularity, bucket, dimensions_hash
    ON CONFLICT (community_id, granularity, bucket, dimensions_hash) DO UPDATE
    SET delta = stored.delta + excluded.delta
),
extended_coverage AS (
    UPDATE snapshot_coverage
    SET first_at = least(first_at, (SELECT min(valid_from) FROM periods))
    WHERE community_id = $1
        AND first_at = (SELECT min(first_at) FROM snapshot_coverage WHERE community_id = $1)
    RETURNING 1
),
new_coverage AS (
    INSERT INTO snapshot_coverage (community_id, first_at, last_at)
    SELECT $1, min(valid_from), $6
    FROM periods
    HAVING min(valid_from) IS NOT NULL AND NOT EXISTS (SELECT FROM extended_coverage)
)
SELECT count(*) FROM periods
