-- Who is a member, and as what: derived anew for profiles $2 of community $1 at $3, by the clock of zone $4, without
-- properties named in $5. What that changes in the groups, and what was told of joins and leaves, is appended as netted
-- differences; gives how many rows those are.
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
        SELECT profile_id, id, type, at, optin_channel, optin_subchannel, consents
        FROM memberships
        WHERE community_id = $1 AND profile_id = wanted.profile_id AND counted
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
        array_remove(ARRAY[
            CASE WHEN p.sms_status = 'verified' AND p.consents -> 'sms_marketing' = 'true' THEN 'sms' END,
            CASE
                WHEN p.email_status IN ('enabled', 'verified') AND p.consents -> 'email_marketing' = 'true'
                THEN 'email'
            END,
            CASE WHEN p.push_status = 'enabled' THEN 'push' END
        ], NULL) AS reaching,
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
-- Appended for the folder, netted.
pieces AS MATERIALIZED (
    SELECT profile_id, groups, since, until, sum(sign) AS n
    FROM stood
    WHERE since < until AND groups <> '{}'
    GROUP BY profile_id, groups, since, until
    HAVING sum(sign) <> 0
),
moved AS MATERIALIZED (
    SELECT groups, at, sum(n) AS n
    FROM (
        SELECT groups, since AS at, n FROM pieces
        UNION ALL
        SELECT groups, until, -n FROM pieces WHERE until < 'infinity'
    ) AS edges
    GROUP BY groups, at
    HAVING sum(n) <> 0
),
group_moves AS (
    INSERT INTO group_deltas (community_id, bucket, grouping_type, grouping_value, n, changed_at)
    SELECT
        $1, bucket, split_part(name, ':', 1), substr(name, 1 + position(':' IN name)), n, $3
    FROM (
        SELECT bucket, name, sum(n) AS n
        FROM (SELECT groups, n, bucket_start(at, '5m', $4) AS bucket FROM moved OFFSET 0) AS bucketed
        CROSS JOIN LATERAL unnest(groups) AS name
        GROUP BY bucket, name
        HAVING sum(n) <> 0
    ) AS netted
    RETURNING 1
),
balance_moves AS (
    INSERT INTO balance_deltas (
        community_id, bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
        consents_false, n
    )
    SELECT
        $1, bucket_start(at, '5m', $4), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false, sum(n)
    FROM (
        SELECT
            1 AS n, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false
        FROM events
        WHERE is_told
        UNION ALL
        SELECT
            -1, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true,
            consents_false
        FROM told
        WHERE is_told
    ) AS both_ways
    GROUP BY
        bucket_start(at, '5m', $4), type, optin_channel, optin_subchannel, optin_platform, gender, age,
        consents_true, consents_false
    HAVING sum(n) <> 0
    RETURNING 1
),
-- Kept of each profile.
put_states AS (
    INSERT INTO member_states (
        community_id, profile_id, since, until, groups, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, consents_true, consents_false
    )
    SELECT $1, * FROM passed
),
put_events AS (
    INSERT INTO membership_events (
        community_id, profile_id, membership_id, type, at, is_told, optin_channel, optin_subchannel, optin_platform,
        gender, age, consents_true, consents_false
    )
    SELECT $1, e.*
    FROM events AS e
    LEFT JOIN told AS t ON t.membership_id = e.membership_id AND t.profile_id = e.profile_id
    WHERE (
        t.type, t.at, t.is_told, t.optin_channel, t.optin_subchannel, t.optin_platform, t.gender, t.age,
        t.consents_true, t.consents_false
    ) IS DISTINCT FROM (
        e.type, e.at, e.is_told, e.optin_channel, e.optin_subchannel, e.optin_platform, e.gender, e.age,
        e.consents_true, e.consents_false
    )
    ON CONFLICT (community_id, profile_id, membership_id) DO UPDATE
    SET type = excluded.type,
        at = excluded.at,
        is_told = excluded.is_told,
        optin_channel = excluded.optin_channel,
        optin_subchannel = excluded.optin_subchannel,
        optin_platform = excluded.optin_platform,
        gender = excluded.gender,
        age = excluded.age,
        consents_true = excluded.consents_true,
        consents_false = excluded.consents_false
),
untold AS MATERIALIZED (
    SELECT t.profile_id, t.membership_id
    FROM told AS t
    WHERE NOT EXISTS (
        SELECT FROM events AS e WHERE e.membership_id = t.membership_id AND e.profile_id = t.profile_id
    )
),
dropped_events AS (
    DELETE FROM membership_events
    WHERE community_id = $1
      AND profile_id = ANY (ARRAY(SELECT profile_id FROM untold))
      AND (profile_id, membership_id) IN (SELECT profile_id, membership_id FROM untold)
),
-- Of a profile that was purged its id stays, so that copies take it out.
purged AS MATERIALIZED (
    SELECT kept.profile_id
    FROM kept
    WHERE kept.member_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM fresh WHERE fresh.profile_id = kept.profile_id)
),
dropped_states AS (
    DELETE FROM member_states
    WHERE community_id = $1 AND profile_id = ANY (ARRAY(SELECT profile_id FROM purged))
),
emptied AS (
    UPDATE members AS m
    SET member_id = NULL, is_member = FALSE, optin_channel = NULL, optin_subchannel = NULL, optin_platform = NULL,
        gender = NULL, birth_date = NULL, subunit_ids = NULL, group_ids = NULL, favorite_stores = NULL,
        consents_true = NULL, consents_false = NULL, marketing = NULL, sms_status = NULL, email_status = NULL,
        push_status = NULL, country = NULL, properties = NULL, created_at = NULL, updated_at = $3, groups = '{}',
        state_since = '-infinity', next_change_at = NULL, transaction_id = pg_current_xact_id()
    WHERE community_id = $1 AND profile_id = ANY (ARRAY(SELECT profile_id FROM purged))
),
present AS MATERIALIZED (
    SELECT
        f.profile_id, f.member_id,
        coalesce(f.groups <> '{}' AND latest.type = 'in', FALSE) AS is_member,
        f.optin_channel, f.optin_subchannel, f.optin_platform, f.gender, f.birth_date, f.subunit_ids, f.group_ids,
        f.favorite_stores, f.consents_true, f.consents_false, f.marketing, f.sms_status, f.email_status,
        f.push_status, f.country, f.shown_properties AS properties, f.created_at, f.updated_at, f.groups,
        f.state_since, ahead.next_change_at
    FROM fresh AS f
    LEFT JOIN (
        SELECT profile_id, type FROM spans WHERE sign = 1 AND until = 'infinity'
    ) AS latest ON latest.profile_id = f.profile_id
    LEFT JOIN (
        SELECT profile_id, min(at) AS next_change_at FROM counted WHERE at > $3 GROUP BY profile_id
    ) AS ahead ON ahead.profile_id = f.profile_id
),
put AS (
    INSERT INTO members (
        community_id, profile_id, member_id, is_member, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, subunit_ids, group_ids, favorite_stores, consents_true, consents_false, marketing, sms_status,
        email_status, push_status, country, properties, created_at, updated_at, groups, state_since, next_change_at
    )
    SELECT $1, p.*
    FROM present AS p
    LEFT JOIN kept AS k ON k.profile_id = p.profile_id
    WHERE (
        k.member_id, k.is_member, k.optin_channel, k.optin_subchannel, k.optin_platform, k.gender, k.birth_date,
        k.subunit_ids, k.group_ids, k.favorite_stores, k.consents_true, k.consents_false, k.marketing, k.sms_status,
        k.email_status, k.push_status, k.country, k.properties, k.created_at, k.updated_at, k.groups, k.state_since,
        k.next_change_at
    ) IS DISTINCT FROM (
        p.member_id, p.is_member, p.optin_channel, p.optin_subchannel, p.optin_platform, p.gender, p.birth_date,
        p.subunit_ids, p.group_ids, p.favorite_stores, p.consents_true, p.consents_false, p.marketing, p.sms_status,
        p.email_status, p.push_status, p.country, p.properties, p.created_at, p.updated_at, p.groups, p.state_since,
        p.next_change_at
    )
    ON CONFLICT (community_id, profile_id) DO UPDATE
    SET member_id = excluded.member_id,
        is_member = excluded.is_member,
        optin_channel = excluded.optin_channel,
        optin_subchannel = excluded.optin_subchannel,
        optin_platform = excluded.optin_platform,
        gender = excluded.gender,
        birth_date = excluded.birth_date,
        subunit_ids = excluded.subunit_ids,
        group_ids = excluded.group_ids,
        favorite_stores = excluded.favorite_stores,
        consents_true = excluded.consents_true,
        consents_false = excluded.consents_false,
        marketing = excluded.marketing,
        sms_status = excluded.sms_status,
        email_status = excluded.email_status,
        push_status = excluded.push_status,
        country = excluded.country,
        properties = excluded.properties,
        created_at = excluded.created_at,
        updated_at = excluded.updated_at,
        groups = excluded.groups,
        state_since = excluded.state_since,
        next_change_at = excluded.next_change_at,
        transaction_id = pg_current_xact_id()
)
SELECT (SELECT count(*) FROM group_moves) + (SELECT count(*) FROM balance_moves) AS moves
