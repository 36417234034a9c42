-- Who is a member, and as what: derived anew for profiles $2 of community $1 at $3, by the clock of zone $4, without
-- properties named in $5. What that changes in the groups, and what was told of joins and leaves, is appended as netted
-- differences (derive_appended.sql), and what profiles are now is kept (derive_kept.sql); gives how many rows were
-- appended.
--
-- An earlier statement of the transaction holds the profiles' locks. Tables are read in laterals with OFFSET, one
-- lookup by index a profile, whatever the planner believes of their number.
WITH wanted AS MATERIALIZED (
    SELECT ($2::uuid[])[k] AS profile_id
    -- A guess of a thousand rows, so that what follows is joined by hashes.
    FROM generate_subscripts($2::uuid[], 1) AS k
),
kept AS MATERIALIZED (
    SELECT m.*
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT * FROM members WHERE community_id = $1 AND profile_id = wanted.profile_id OFFSET 0
    ) AS m
),
past AS MATERIALIZED (
    SELECT s.*
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT * FROM member_states WHERE community_id = $1 AND profile_id = wanted.profile_id OFFSET 0
    ) AS s
),
told AS MATERIALIZED (
    SELECT e.*
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT * FROM membership_events WHERE community_id = $1 AND profile_id = wanted.profile_id OFFSET 0
    ) AS e
),
counted AS MATERIALIZED (
    SELECT m.*
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT profile_id, id, type, occurred_at AS at, optin_channel, optin_subchannel, consents
        FROM memberships
        WHERE community_id = $1 AND profile_id = wanted.profile_id AND is_effective
        OFFSET 0
    ) AS m
),
read AS MATERIALIZED (
    SELECT
        p.*,
        optin_platform(p.optin_channel) AS optin_platform,
        10000 * p.birth_year + 100 * coalesce(p.birth_month, 1) + coalesce(p.birth_day, 1) AS birth_date,
        ARRAY(
            SELECT key FROM jsonb_each(p.consents) WHERE value = 'true' ORDER BY key COLLATE "C"
        ) AS consents_true,
        ARRAY(
            SELECT key FROM jsonb_each(p.consents) WHERE value = 'false' ORDER BY key COLLATE "C"
        ) AS consents_false,
        reachable_channels(p.consents, p.sms_status, p.email_status, p.push_status) AS reaching,
        coalesce(
            (
                SELECT country
                FROM addresses
                WHERE community_id = $1 AND profile_id = p.profile_id AND country IS NOT NULL
                ORDER BY is_default DESC, id
                LIMIT 1
            ),
            p.phone_country
        ) AS country,
        CASE
            WHEN p.properties = '{}' THEN p.properties
            ELSE (
                SELECT coalesce(jsonb_object_agg(key, value), '{}')
                FROM jsonb_each(p.properties)
                WHERE regexp_replace(lower(key), '[^[:alnum:]]', '', 'g') <> ALL ($5::text[])
            )
        END AS shown_properties
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT profile_id, member_id, profile_type, optin_channel, optin_subchannel, gender, birth_year, birth_month,
               birth_day, phone_country, consents, sms_status, email_status, push_status, subunit_ids, group_ids,
               favorite_stores, properties, created_at, updated_at
        FROM profiles
        WHERE community_id = $1 AND profile_id = wanted.profile_id
        OFFSET 0
    ) AS p
),
marked AS MATERIALIZED (
    SELECT
        read.*,
        CASE WHEN reaching = '{}' THEN reaching ELSE reaching || 'anything'::text END AS marketing
    FROM read
),
grouped AS MATERIALIZED (
    SELECT
        marked.*,
        CASE WHEN profile_type IN ('deleted', 'system', 'temporary') THEN '{}' ELSE
            array_remove(ARRAY[
                'all:',
                'optin_channel:' || optin_channel,
                'optin_subchannel:' || optin_subchannel,
                'optin_platform:' || optin_platform,
                'birth_year_group:' || birth_year - birth_year % 5,
                'country:' || country,
                'gender:' || gender
            ], NULL)
            || ARRAY(SELECT 'consent_true:' || name FROM unnest(consents_true) AS name)
            || ARRAY(SELECT 'consent_false:' || name FROM unnest(consents_false) AS name)
            || ARRAY(
                SELECT CASE WHEN name = ANY (marketing) THEN 'marketing_true:' ELSE 'marketing_false:' END || name
                FROM unnest(ARRAY['sms', 'email', 'push', 'anything']) AS name
            )
            || ARRAY(SELECT 'subunit_id:' || id FROM unnest(subunit_ids) AS id)
            || ARRAY(SELECT 'group_id:' || id FROM unnest(group_ids) AS id)
            || ARRAY(SELECT 'favorite_store:' || id FROM unnest(favorite_stores) AS id)
        END AS groups
    FROM marked
),
fresh AS MATERIALIZED (
    SELECT
        grouped.*,
        CASE
            WHEN kept.member_id IS NULL THEN '-infinity'
            WHEN (
                kept.groups, kept.optin_channel, kept.optin_subchannel, kept.gender, kept.birth_date,
                kept.consents_true, kept.consents_false
            ) IS NOT DISTINCT FROM (
                grouped.groups, grouped.optin_channel, grouped.optin_subchannel, grouped.gender, grouped.birth_date,
                grouped.consents_true, grouped.consents_false
            ) THEN kept.state_since
            ELSE greatest(kept.state_since, $3::timestamptz)
        END AS state_since
    FROM grouped
    LEFT JOIN kept ON kept.profile_id = grouped.profile_id
),
-- As what profiles stood, and since when, as it was known and as it is.
passed AS MATERIALIZED (
    SELECT
        kept.profile_id, kept.state_since AS since, fresh.state_since AS until, kept.groups, kept.optin_channel,
        kept.optin_subchannel, kept.optin_platform, kept.gender, kept.birth_date, kept.consents_true,
        kept.consents_false
    FROM kept
    JOIN fresh ON fresh.profile_id = kept.profile_id AND fresh.state_since > kept.state_since
),
states AS MATERIALIZED (
    SELECT
        profile_id, since, until, groups, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
        consents_true, consents_false, CAST(NULL AS jsonb) AS consents
    FROM past
    UNION ALL
    SELECT *, NULL FROM passed
    UNION ALL
    SELECT
        profile_id, state_since, 'infinity', groups, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, consents_true, consents_false, consents
    FROM fresh
),
known_states AS MATERIALIZED (
    SELECT profile_id, since, until, groups FROM past
    UNION ALL
    SELECT profile_id, state_since, 'infinity', groups FROM kept
),
-- Each membership as it was at that moment: of what it does not say itself, what was known of the profile. Who
-- leaves by becoming of another type leaves as what it was; who comes in by it comes as what it is. What it says as
-- the profile does, which is most often so, is not taken apart once more.
events AS MATERIALIZED (
    SELECT DISTINCT ON (c.id)
        c.profile_id, c.id AS membership_id, c.type, c.at, s.groups <> '{}' AS is_told,
        coalesce(c.optin_channel, s.optin_channel) AS optin_channel,
        coalesce(c.optin_subchannel, s.optin_subchannel) AS optin_subchannel,
        CASE
            WHEN c.optin_channel IS NULL OR c.optin_channel = s.optin_channel THEN s.optin_platform
            ELSE optin_platform(c.optin_channel)
        END AS optin_platform,
        s.gender,
        age_group(s.birth_date, day_number(c.at, $4)) AS age,
        CASE WHEN c.consents IS NULL OR c.consents = s.consents THEN s.consents_true ELSE ARRAY(
            SELECT key FROM jsonb_each(c.consents) WHERE value = 'true' ORDER BY key COLLATE "C"
        ) END AS consents_true,
        CASE WHEN c.consents IS NULL OR c.consents = s.consents THEN s.consents_false ELSE ARRAY(
            SELECT key FROM jsonb_each(c.consents) WHERE value = 'false' ORDER BY key COLLATE "C"
        ) END AS consents_false
    FROM counted AS c
    JOIN states AS s ON s.profile_id = c.profile_id AND s.since <= c.at AND c.at <= s.until
    WHERE c.at <= $3
    ORDER BY
        c.id,
        s.groups = '{}',
        CASE WHEN c.type = 'out' THEN s.since END,
        s.since DESC
),
-- While a profile was in, as something: what was counted, and what is to be.
spans AS MATERIALIZED (
    SELECT -1 AS sign, profile_id, type, at, lead(at, 1, 'infinity') OVER later AS until
    FROM told
    WINDOW later AS (PARTITION BY profile_id ORDER BY at, membership_id)
    UNION ALL
    SELECT 1, profile_id, type, at, lead(at, 1, 'infinity') OVER later
    FROM events
    WINDOW later AS (PARTITION BY profile_id ORDER BY at, membership_id)
),
stood AS MATERIALIZED (
    SELECT span.profile_id, span.sign, s.groups, greatest(span.at, s.since) AS since, least(span.until, s.until) AS until
    FROM spans AS span
    JOIN states AS s ON s.profile_id = span.profile_id
    WHERE span.type = 'in' AND span.sign = 1
    UNION ALL
    SELECT span.profile_id, span.sign, s.groups, greatest(span.at, s.since), least(span.until, s.until)
    FROM spans AS span
    JOIN known_states AS s ON s.profile_id = span.profile_id
    WHERE span.type = 'in' AND span.sign = -1
),
