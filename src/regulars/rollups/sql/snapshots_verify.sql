-- What is stored of the snapshots of community $1 and differs from the periods in which members were counted: counts, and
-- rollups, see bucket_totals.sql; and periods that differ from the members as the last snapshot saw them.
WITH periods AS MATERIALIZED (
    SELECT profile_id, valid_from, valid_to, dimensions_hash FROM snapshot_members WHERE community_id = $1
),
counts AS MATERIALIZED (
    SELECT
        dimensions_hash, members_count,
        CAST(md5(CAST(ROW(
            optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
        ) AS text)) AS uuid) AS recomputed_hash
    FROM snapshot_counts
    WHERE community_id = $1
),
-- No commit has changed these members since the last snapshot. One that counted them again on a later day, for
-- backfilled memberships, has counted them with their age on that day.
unchanged_members AS MATERIALIZED (
    SELECT
        m.profile_id, open.dimensions_hash AS stored,
        CASE WHEN m.is_member THEN CAST(md5(CAST(ROW(
            m.optin_channel, m.optin_subchannel, m.optin_platform, m.gender,
            age_group(m.birth_date, greatest(state.day, day_number(open.valid_from, community.timezone))),
            m.country, m.consents_true, m.consents_false
        ) AS text)) AS uuid) END AS recomputed
    FROM members AS m
    JOIN communities AS community ON community.id = $1
    JOIN snapshot_state AS state ON state.community_id = $1 AND m.recorded_xid < state.watermark
    LEFT JOIN periods AS open ON open.profile_id = m.profile_id AND open.valid_to = 'infinity'
    WHERE m.community_id = $1
),
stored_buckets AS (
    SELECT
        'snapshots of ' || dimensions_hash AS key, 'change' AS counted, granularity, bucket, delta AS stored, 0 AS recomputed
    FROM snapshot_rollups
    WHERE community_id = $1
),
changes AS (
    SELECT 'snapshots of ' || dimensions_hash AS key, 'change' AS counted, at, 0 AS stored, sum(delta) AS recomputed
    FROM (
        SELECT dimensions_hash, valid_from AS at, 1 AS delta FROM periods
        UNION ALL
        SELECT dimensions_hash, valid_to, -1 FROM periods WHERE valid_to < 'infinity'
    ) AS edges
    GROUP BY dimensions_hash, at
),
-- include: bucket_totals
SELECT key, name, stored, recomputed
FROM (
    SELECT
        'snapshots of ' || dimensions_hash AS key, 'members_count' AS name, sum(stored)::text AS stored,
        sum(recomputed)::text AS recomputed
    FROM (
        SELECT dimensions_hash, members_count AS stored, 0 AS recomputed FROM counts
        UNION ALL
        SELECT dimensions_hash, 0, 1 FROM periods WHERE valid_to = 'infinity'
    ) AS both_ways
    GROUP BY dimensions_hash
    UNION ALL
    SELECT 'snapshots of ' || dimensions_hash, 'dimensions_hash', dimensions_hash::text, recomputed_hash::text
    FROM counts
    UNION ALL
    SELECT 'snapshots of ' || dimensions_hash, 'dimensions', NULL, 'a row'
    FROM (SELECT DISTINCT dimensions_hash FROM periods) AS counted
    WHERE NOT EXISTS (SELECT FROM counts WHERE counts.dimensions_hash = counted.dimensions_hash)
    UNION ALL
    SELECT key, name, stored, recomputed FROM bucket_totals
    UNION ALL
    SELECT 'profile ' || profile_id, 'dimensions in the last snapshot', stored::text, recomputed::text
    FROM unchanged_members
    UNION ALL
    SELECT 'profile ' || p.profile_id, 'snapshots', 'counted', NULL
    FROM (SELECT DISTINCT profile_id FROM periods) AS p
    WHERE NOT EXISTS (SELECT FROM profiles WHERE profiles.community_id = $1 AND profiles.profile_id = p.profile_id)
    UNION ALL
    SELECT
        'profile ' || profile_id || ' from ' || valid_from, 'snapshots', 'until ' || valid_to, 'until ' || next_from
    FROM (
        SELECT
            profile_id, valid_from, valid_to, lead(valid_from) OVER (PARTITION BY profile_id ORDER BY valid_from) AS next_from
        FROM periods
    ) AS consecutive
    WHERE valid_to > next_from
) AS compared
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
