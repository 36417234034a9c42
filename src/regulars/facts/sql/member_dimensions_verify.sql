-- What is stored of the profiles of community $1 as members and differs from the profiles and their memberships at $2,
-- without the properties $3, whose names are compared with $4 translated to $5: dimensions, the memberships that count,
-- what was counted of each, and gaps between earlier dimensions. Memberships that are due are left to the refresh of due
-- profiles.
WITH community AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
effective AS MATERIALIZED (
    SELECT
        id, profile_id, type, occurred_at, optin_channel, optin_subchannel, consents, is_effective AS is_stored_effective,
        type <> lag(type, 1, 'out') OVER (PARTITION BY profile_id ORDER BY occurred_at, id) AS is_effective
    FROM memberships
    WHERE community_id = $1
),
next_changes AS MATERIALIZED (
    SELECT profile_id, min(occurred_at) AS next_change_at
    FROM effective
    WHERE is_effective AND occurred_at > $2
    GROUP BY profile_id
),
first_countries AS MATERIALIZED (
    SELECT DISTINCT ON (profile_id) profile_id, country
    FROM addresses
    WHERE community_id = $1 AND country IS NOT NULL
    ORDER BY profile_id, is_default DESC, id
),
last_ends AS MATERIALIZED (
    SELECT profile_id, max(valid_to) AS valid_to
    FROM member_dimension_history
    WHERE community_id = $1
    GROUP BY profile_id
),
recomputed AS MATERIALIZED (
    SELECT
        p.profile_id, p.member_id, p.optin_channel, p.optin_subchannel,
        optin_platform(p.optin_channel) AS optin_platform, p.gender,
        10000 * p.birth_year + 100 * coalesce(p.birth_month, 1) + coalesce(p.birth_day, 1) AS birth_date,
        p.subunit_ids, p.group_ids, p.favorite_stores,
        ARRAY(
            SELECT name FROM jsonb_each_text(p.consents) AS answers (name, answer)
            WHERE answer::boolean ORDER BY name COLLATE "C"
        ) AS consents_true,
        ARRAY(
            SELECT name FROM jsonb_each_text(p.consents) AS answers (name, answer)
            WHERE NOT answer::boolean ORDER BY name COLLATE "C"
        ) AS consents_false,
        CASE WHEN reachable.channels = '{}' THEN '{}' ELSE reachable.channels || 'anything'::text END AS marketing,
        p.sms_status, p.email_status, p.push_status, coalesce(first_countries.country, p.phone_country) AS country,
        (
            SELECT coalesce(jsonb_object_agg(key, value), '{}')
            FROM jsonb_each(p.properties)
            WHERE CASE
                WHEN octet_length(key) > length(key) THEN translate(key, $4::text, $5::text)
                ELSE regexp_replace(lower(key COLLATE "C"), '[^a-z0-9]', '', 'g')
            END <> ALL ($3::text[])
        ) AS properties,
        p.created_at, p.updated_at, coalesce(last_ends.valid_to, '-infinity') AS valid_from, next_changes.next_change_at
    FROM profiles AS p
    CROSS JOIN LATERAL (
        SELECT reachable_channels(p.consents, p.sms_status, p.email_status, p.push_status) AS channels
    ) AS reachable
    LEFT JOIN first_countries ON first_countries.profile_id = p.profile_id
    LEFT JOIN last_ends ON last_ends.profile_id = p.profile_id
    LEFT JOIN next_changes ON next_changes.profile_id = p.profile_id
    WHERE p.community_id = $1
),
stored AS MATERIALIZED (
    SELECT
        profile_id, member_id, optin_channel, optin_subchannel, optin_platform, gender, birth_date, subunit_ids,
        group_ids, favorite_stores, consents_true, consents_false, marketing, sms_status, email_status, push_status,
        country, properties, created_at, updated_at, valid_from, next_change_at
    FROM members
    WHERE community_id = $1
),
differing_dimensions AS MATERIALIZED (
    SELECT stored.profile_id, to_jsonb(stored) AS stored, to_jsonb(recomputed) AS recomputed
    FROM stored
    JOIN recomputed ON recomputed.profile_id = stored.profile_id
    -- Bytes are compared, because the collations of the tables differ.
    WHERE stored *<> recomputed
),
states AS MATERIALIZED (
    SELECT
        profile_id, valid_from, valid_to, groups, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
        consents_true, consents_false
    FROM member_dimension_history
    WHERE community_id = $1
    UNION ALL
    SELECT
        profile_id, valid_from, 'infinity', groups, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
        consents_true, consents_false
    FROM members
    WHERE community_id = $1 AND member_id IS NOT NULL
),
-- Each membership with the dimensions of its time. A profile that leaves by a change of its type leaves with its earlier
-- state, one that joins by it joins with its new state.
recomputed_events AS MATERIALIZED (
    SELECT DISTINCT ON (e.id)
        e.profile_id, e.id AS membership_id, e.type, e.occurred_at, s.groups <> '{}' AS is_counted,
        coalesce(e.optin_channel, s.optin_channel) AS optin_channel,
        coalesce(e.optin_subchannel, s.optin_subchannel) AS optin_subchannel,
        optin_platform(coalesce(e.optin_channel, s.optin_channel)) AS optin_platform, s.gender, s.birth_date,
        CASE WHEN e.consents IS NULL THEN s.consents_true ELSE ARRAY(
            SELECT name FROM jsonb_each_text(e.consents) AS answers (name, answer)
            WHERE answer::boolean ORDER BY name COLLATE "C"
        ) END AS consents_true,
        CASE WHEN e.consents IS NULL THEN s.consents_false ELSE ARRAY(
            SELECT name FROM jsonb_each_text(e.consents) AS answers (name, answer)
            WHERE NOT answer::boolean ORDER BY name COLLATE "C"
        ) END AS consents_false
    FROM effective AS e
    JOIN states AS s ON s.profile_id = e.profile_id AND s.valid_from <= e.occurred_at AND e.occurred_at <= s.valid_to
    JOIN stored ON stored.profile_id = e.profile_id
    WHERE e.is_effective AND e.occurred_at <= $2 AND e.occurred_at < coalesce(stored.next_change_at, 'infinity')
    ORDER BY e.id, s.groups = '{}', CASE WHEN e.type = 'out' THEN s.valid_from END, s.valid_from DESC
),
compared_events AS MATERIALIZED (
    SELECT
        coalesce(e.membership_id, r.membership_id) AS membership_id,
        CASE WHEN e.membership_id IS NOT NULL THEN ROW(
            e.type, e.occurred_at, e.is_counted, e.optin_channel, e.optin_subchannel, e.optin_platform, e.gender, e.age,
            e.consents_true, e.consents_false
        )::text END AS stored,
        CASE WHEN r.membership_id IS NOT NULL THEN ROW(
            r.type, r.occurred_at, r.is_counted, r.optin_channel, r.optin_subchannel, r.optin_platform, r.gender,
            -- A membership keeps the age of its day in the time zone that the community had then.
            CASE
                WHEN EXISTS (
                    SELECT
                    FROM (VALUES (interval '-1 day'), (interval '1 day')) AS shifts (shift)
                    WHERE e.age IS NOT DISTINCT FROM
                        age_group(r.birth_date, day_number(r.occurred_at + shift, community.timezone))
                )
                THEN e.age
                ELSE age_group(r.birth_date, day_number(r.occurred_at, community.timezone))
            END,
            r.consents_true, r.consents_false
        )::text END AS recomputed
    FROM (SELECT * FROM membership_events WHERE community_id = $1) AS e
    FULL JOIN recomputed_events AS r ON r.profile_id = e.profile_id AND r.membership_id = e.membership_id
    CROSS JOIN community
)
SELECT key, name, stored, recomputed
FROM (
    SELECT
        'profile ' || d.profile_id AS key, expected.name, d.stored ->> expected.name AS stored,
        expected.value AS recomputed
    FROM differing_dimensions AS d
    CROSS JOIN LATERAL jsonb_each_text(d.recomputed) AS expected (name, value)
    -- A change that is due is recorded by the refresh of due profiles.
    WHERE expected.name <> 'next_change_at' OR coalesce((d.stored ->> 'next_change_at')::timestamptz > $2, true)
    UNION ALL
    SELECT 'membership ' || id, 'is_effective', is_stored_effective::text, is_effective::text FROM effective
    UNION ALL
    SELECT 'membership ' || membership_id, 'what was counted', stored, recomputed FROM compared_events
    UNION ALL
    SELECT
        'profile ' || profile_id || ' from ' || valid_from, 'earlier dimensions', 'until ' || valid_to,
        'until ' || next_from
    FROM (
        SELECT
            profile_id, valid_from, valid_to, lead(valid_from) OVER (PARTITION BY profile_id ORDER BY valid_from) AS next_from
        FROM states
    ) AS consecutive
    WHERE next_from IS NOT NULL
) AS compared
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
