-- Recomputes the member dimensions of profiles $2 of community $1 at $3, by the clock of time zone $4, without the
-- properties $5, whose names are compared with $6 translated to $7. The changes of counts, and of joins and leaves, are
-- appended as deltas (members_append_deltas.sql), and the dimensions stored (members_store.sql). Returns the number of
-- deltas.
--
-- An earlier statement locked the profiles. Tables are read by laterals with OFFSET: one index lookup per profile,
-- independent of the number of rows that the planner expects.
WITH requested AS MATERIALIZED (
    SELECT ($2::uuid[])[k] AS profile_id
    -- The planner expects a thousand rows of it, and therefore joins what follows by hashes.
    FROM generate_subscripts($2::uuid[], 1) AS k
),
stored AS MATERIALIZED (
    SELECT m.*
    FROM requested
    CROSS JOIN LATERAL (
        SELECT * FROM members WHERE community_id = $1 AND profile_id = requested.profile_id OFFSET 0
    ) AS m
),
stored_history AS MATERIALIZED (
    SELECT s.*
    FROM requested
    CROSS JOIN LATERAL (
        SELECT * FROM member_dimension_history WHERE community_id = $1 AND profile_id = requested.profile_id OFFSET 0
    ) AS s
),
stored_events AS MATERIALIZED (
    SELECT e.*
    FROM requested
    CROSS JOIN LATERAL (
        SELECT * FROM membership_events WHERE community_id = $1 AND profile_id = requested.profile_id OFFSET 0
    ) AS e
),
effective_memberships AS MATERIALIZED (
    SELECT m.*
    FROM requested
    CROSS JOIN LATERAL (
        SELECT profile_id, id, type, occurred_at, optin_channel, optin_subchannel, consents
        FROM memberships
        WHERE community_id = $1 AND profile_id = requested.profile_id AND is_effective
        OFFSET 0
    ) AS m
),
requested_profiles AS MATERIALIZED (
    SELECT p.*
    FROM requested
    CROSS JOIN LATERAL (
        SELECT profile_id, member_id, profile_type, optin_channel, optin_subchannel, gender, birth_year, birth_month,
               birth_day, phone_country, consents, sms_status, email_status, push_status, subunit_ids, group_ids,
               favorite_stores, properties, created_at, updated_at
        FROM profiles
        WHERE community_id = $1 AND profile_id = requested.profile_id
        OFFSET 0
    ) AS p
),
-- Most profiles have the consents and statuses of many others, so what follows from them is computed once for all of
-- those.
answers AS MATERIALIZED (
    SELECT
        profile_ids,
        ARRAY(
            SELECT key FROM jsonb_each(consents) WHERE value = 'true' ORDER BY key COLLATE "C"
        ) AS consents_true,
        ARRAY(
            SELECT key FROM jsonb_each(consents) WHERE value = 'false' ORDER BY key COLLATE "C"
        ) AS consents_false,
        reachable_channels(consents, sms_status, email_status, push_status) AS channels
    FROM (
        SELECT consents, sms_status, email_status, push_status, array_agg(profile_id) AS profile_ids
        FROM requested_profiles
        GROUP BY consents, sms_status, email_status, push_status
    ) AS equal
),
reachable AS MATERIALIZED (
    SELECT
        profile_ids, consents_true, consents_false,
        CASE WHEN channels = '{}' THEN channels ELSE channels || 'anything'::text END AS marketing
    FROM answers
),
grouped_answers AS MATERIALIZED (
    SELECT
        unnest(profile_ids) AS profile_id, consents_true, consents_false, marketing,
        ARRAY(SELECT 'consent_true:' || name FROM unnest(consents_true) AS name)
        || ARRAY(SELECT 'consent_false:' || name FROM unnest(consents_false) AS name)
        || ARRAY(
            SELECT CASE WHEN name = ANY (marketing) THEN 'marketing_true:' ELSE 'marketing_false:' END || name
            FROM unnest(ARRAY['sms', 'email', 'push', 'anything']) AS name
        ) AS groups
    FROM reachable
),
profile_values AS MATERIALIZED (
    SELECT
        p.*, grouped_answers.consents_true, grouped_answers.consents_false, grouped_answers.marketing,
        grouped_answers.groups AS answer_groups,
        optin_platform(p.optin_channel) AS optin_platform,
        10000 * p.birth_year + 100 * coalesce(p.birth_month, 1) + coalesce(p.birth_day, 1) AS birth_date,
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
                -- Equal in every locale of the database. Names in ASCII do not need the long translation.
                WHERE CASE
                    WHEN octet_length(key) > length(key) THEN translate(key, $6::text, $7::text)
                    ELSE regexp_replace(lower(key COLLATE "C"), '[^a-z0-9]', '', 'g')
                END <> ALL ($5::text[])
            )
        END AS shown_properties
    FROM requested_profiles AS p
    JOIN grouped_answers ON grouped_answers.profile_id = p.profile_id
),
with_groups AS MATERIALIZED (
    SELECT
        profile_values.*,
        CASE WHEN NOT counts_as_member(profile_type) THEN '{}' ELSE
            array_remove(ARRAY[
                'all:',
                'optin_channel:' || optin_channel,
                'optin_subchannel:' || optin_subchannel,
                'optin_platform:' || optin_platform,
                'birth_year_group:' || birth_year - birth_year % 5,
                'country:' || country,
                'gender:' || gender
            ], NULL)
            || answer_groups
            || ARRAY(SELECT 'subunit_id:' || id FROM unnest(subunit_ids) AS id)
            || ARRAY(SELECT 'group_id:' || id FROM unnest(group_ids) AS id)
            || ARRAY(SELECT 'favorite_store:' || id FROM unnest(favorite_stores) AS id)
        END AS groups
    FROM profile_values
),
updated AS MATERIALIZED (
    SELECT
        with_groups.*,
        CASE
            WHEN stored.member_id IS NULL THEN '-infinity'
            WHEN (
                stored.groups, stored.optin_channel, stored.optin_subchannel, stored.gender, stored.birth_date,
                stored.consents_true, stored.consents_false
            ) IS NOT DISTINCT FROM (
                with_groups.groups, with_groups.optin_channel, with_groups.optin_subchannel, with_groups.gender,
                with_groups.birth_date,
                with_groups.consents_true, with_groups.consents_false
            ) THEN stored.valid_from
            ELSE greatest(stored.valid_from, $3::timestamptz)
        END AS valid_from
    FROM with_groups
    LEFT JOIN stored ON stored.profile_id = with_groups.profile_id
),
-- The state that ends with this commit.
ended_states AS MATERIALIZED (
    SELECT
        stored.profile_id, stored.valid_from, updated.valid_from AS valid_to, stored.groups, stored.optin_channel,
        stored.optin_subchannel, stored.optin_platform, stored.gender, stored.birth_date, stored.consents_true,
        stored.consents_false
    FROM stored
    JOIN updated ON updated.profile_id = stored.profile_id AND updated.valid_from > stored.valid_from
),
states AS MATERIALIZED (
    SELECT
        profile_id, valid_from, valid_to, groups, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
        consents_true, consents_false, CAST(NULL AS jsonb) AS consents
    FROM stored_history
    UNION ALL
    SELECT *, NULL FROM ended_states
    UNION ALL
    SELECT
        profile_id, valid_from, 'infinity', groups, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, consents_true, consents_false, consents
    FROM updated
),
stored_states AS MATERIALIZED (
    SELECT profile_id, valid_from, valid_to, groups FROM stored_history
    UNION ALL
    SELECT profile_id, valid_from, 'infinity', groups FROM stored
),
-- Each membership with the dimensions of its time; those that it lacks are the profile's. A profile that leaves by a
-- change of its type leaves with its earlier state, one that joins by it joins with its new state. Consents equal to
-- the profile's, as most are, are not parsed again.
events AS MATERIALIZED (
    SELECT DISTINCT ON (c.id)
        c.profile_id, c.id AS membership_id, c.type, c.occurred_at, s.groups <> '{}' AS is_counted,
        coalesce(c.optin_channel, s.optin_channel) AS optin_channel,
        coalesce(c.optin_subchannel, s.optin_subchannel) AS optin_subchannel,
        CASE
            WHEN c.optin_channel IS NULL OR c.optin_channel = s.optin_channel THEN s.optin_platform
            ELSE optin_platform(c.optin_channel)
        END AS optin_platform,
        s.gender,
        age_group(s.birth_date, day_number(c.occurred_at, $4)) AS age,
        CASE WHEN c.consents IS NULL OR c.consents = s.consents THEN s.consents_true ELSE ARRAY(
            SELECT key FROM jsonb_each(c.consents) WHERE value = 'true' ORDER BY key COLLATE "C"
        ) END AS consents_true,
        CASE WHEN c.consents IS NULL OR c.consents = s.consents THEN s.consents_false ELSE ARRAY(
            SELECT key FROM jsonb_each(c.consents) WHERE value = 'false' ORDER BY key COLLATE "C"
        ) END AS consents_false
    FROM effective_memberships AS c
    JOIN states AS s ON s.profile_id = c.profile_id AND s.valid_from <= c.occurred_at AND c.occurred_at <= s.valid_to
    WHERE c.occurred_at <= $3
    ORDER BY
        c.id,
        s.groups = '{}',
        CASE WHEN c.type = 'out' THEN s.valid_from END,
        s.valid_from DESC
),
-- While a profile was a member, in which groups: as counted until now (-1) and from now on (1).
spans AS MATERIALIZED (
    SELECT -1 AS sign, profile_id, type, occurred_at, lead(occurred_at, 1, 'infinity') OVER later AS valid_to
    FROM stored_events
    WINDOW later AS (PARTITION BY profile_id ORDER BY occurred_at, membership_id)
    UNION ALL
    SELECT 1, profile_id, type, occurred_at, lead(occurred_at, 1, 'infinity') OVER later
    FROM events
    WINDOW later AS (PARTITION BY profile_id ORDER BY occurred_at, membership_id)
),
member_spans AS MATERIALIZED (
    SELECT span.profile_id, span.sign, s.groups, greatest(span.occurred_at, s.valid_from) AS valid_from,
        least(span.valid_to, s.valid_to) AS valid_to
    FROM spans AS span
    JOIN states AS s ON s.profile_id = span.profile_id
    WHERE span.type = 'in' AND span.sign = 1
    UNION ALL
    SELECT span.profile_id, span.sign, s.groups, greatest(span.occurred_at, s.valid_from),
        least(span.valid_to, s.valid_to)
    FROM spans AS span
    JOIN stored_states AS s ON s.profile_id = span.profile_id
    WHERE span.type = 'in' AND span.sign = -1
),
