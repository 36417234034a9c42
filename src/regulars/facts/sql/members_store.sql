-- Part of members_recompute.sql: stores the dimensions, history and events of each profile.
inserted_states AS (
    INSERT INTO member_dimension_history (
        community_id, profile_id, valid_from, valid_to, groups, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, consents_true, consents_false
    )
    SELECT $1, * FROM ended_states
),
-- New rows conflict with none: their profiles are locked.
inserted_events AS (
    INSERT INTO membership_events (
        community_id, profile_id, membership_id, type, occurred_at, is_counted, optin_channel, optin_subchannel,
        optin_platform, gender, age, consents_true, consents_false
    )
    SELECT $1, e.*
    FROM events AS e
    WHERE NOT EXISTS (
        SELECT FROM stored_events AS t WHERE t.membership_id = e.membership_id AND t.profile_id = e.profile_id
    )
),
upserted_events AS (
    INSERT INTO membership_events (
        community_id, profile_id, membership_id, type, occurred_at, is_counted, optin_channel, optin_subchannel,
        optin_platform, gender, age, consents_true, consents_false
    )
    SELECT $1, e.*
    FROM events AS e
    JOIN stored_events AS t ON t.membership_id = e.membership_id AND t.profile_id = e.profile_id
    WHERE (
        t.type, t.occurred_at, t.is_counted, t.optin_channel, t.optin_subchannel, t.optin_platform, t.gender, t.age,
        t.consents_true, t.consents_false
    ) IS DISTINCT FROM (
        e.type, e.occurred_at, e.is_counted, e.optin_channel, e.optin_subchannel, e.optin_platform, e.gender, e.age,
        e.consents_true, e.consents_false
    )
    ON CONFLICT (community_id, profile_id, membership_id) DO UPDATE
    SET type = excluded.type,
        occurred_at = excluded.occurred_at,
        is_counted = excluded.is_counted,
        optin_channel = excluded.optin_channel,
        optin_subchannel = excluded.optin_subchannel,
        optin_platform = excluded.optin_platform,
        gender = excluded.gender,
        age = excluded.age,
        consents_true = excluded.consents_true,
        consents_false = excluded.consents_false
),
removed_events AS MATERIALIZED (
    SELECT t.profile_id, t.membership_id
    FROM stored_events AS t
    WHERE NOT EXISTS (
        SELECT FROM events AS e WHERE e.membership_id = t.membership_id AND e.profile_id = t.profile_id
    )
),
deleted_events AS (
    DELETE FROM membership_events
    WHERE community_id = $1
      AND profile_id = ANY (ARRAY(SELECT profile_id FROM removed_events))
      AND (profile_id, membership_id) IN (SELECT profile_id, membership_id FROM removed_events)
),
-- The id of an erased profile stays, so that replicas remove it.
erased AS MATERIALIZED (
    SELECT stored.profile_id
    FROM stored
    WHERE stored.member_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM updated WHERE updated.profile_id = stored.profile_id)
),
deleted_states AS (
    DELETE FROM member_dimension_history
    WHERE community_id = $1 AND profile_id = ANY (ARRAY(SELECT profile_id FROM erased))
),
tombstones AS (
    UPDATE members AS m
    SET member_id = NULL, is_member = FALSE, optin_channel = NULL, optin_subchannel = NULL, optin_platform = NULL,
        gender = NULL, birth_date = NULL, subunit_ids = NULL, group_ids = NULL, favorite_stores = NULL,
        consents_true = NULL, consents_false = NULL, marketing = NULL, sms_status = NULL, email_status = NULL,
        push_status = NULL, country = NULL, properties = NULL, created_at = NULL, updated_at = $3, groups = '{}',
        valid_from = '-infinity', next_change_at = NULL, recorded_xid = pg_current_xact_id()
    WHERE community_id = $1 AND profile_id = ANY (ARRAY(SELECT profile_id FROM erased))
),
current_members AS MATERIALIZED (
    SELECT
        f.profile_id, f.member_id,
        coalesce(f.groups <> '{}' AND latest.type = 'in', FALSE) AS is_member,
        f.optin_channel, f.optin_subchannel, f.optin_platform, f.gender, f.birth_date, f.subunit_ids, f.group_ids,
        f.favorite_stores, f.consents_true, f.consents_false, f.marketing, f.sms_status, f.email_status,
        f.push_status, f.country, f.shown_properties AS properties, f.created_at, f.updated_at, f.groups,
        f.valid_from, upcoming.next_change_at
    FROM updated AS f
    LEFT JOIN (
        SELECT profile_id, type FROM spans WHERE sign = 1 AND valid_to = 'infinity'
    ) AS latest ON latest.profile_id = f.profile_id
    LEFT JOIN (
        SELECT profile_id, min(occurred_at) AS next_change_at
        FROM effective_memberships
        WHERE occurred_at > $3
        GROUP BY profile_id
    ) AS upcoming ON upcoming.profile_id = f.profile_id
),
-- New rows conflict with none: their profiles are locked.
inserted_members AS (
    INSERT INTO members (
        community_id, profile_id, member_id, is_member, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, subunit_ids, group_ids, favorite_stores, consents_true, consents_false, marketing, sms_status,
        email_status, push_status, country, properties, created_at, updated_at, groups, valid_from, next_change_at
    )
    SELECT $1, p.*
    FROM current_members AS p
    WHERE NOT EXISTS (SELECT FROM stored WHERE stored.profile_id = p.profile_id)
),
upserted_members AS (
    INSERT INTO members (
        community_id, profile_id, member_id, is_member, optin_channel, optin_subchannel, optin_platform, gender,
        birth_date, subunit_ids, group_ids, favorite_stores, consents_true, consents_false, marketing, sms_status,
        email_status, push_status, country, properties, created_at, updated_at, groups, valid_from, next_change_at
    )
    SELECT $1, p.*
    FROM current_members AS p
    JOIN stored AS k ON k.profile_id = p.profile_id
    WHERE (
        k.member_id, k.is_member, k.optin_channel, k.optin_subchannel, k.optin_platform, k.gender, k.birth_date,
        k.subunit_ids, k.group_ids, k.favorite_stores, k.consents_true, k.consents_false, k.marketing, k.sms_status,
        k.email_status, k.push_status, k.country, k.properties, k.created_at, k.updated_at, k.groups, k.valid_from,
        k.next_change_at
    ) IS DISTINCT FROM (
        p.member_id, p.is_member, p.optin_channel, p.optin_subchannel, p.optin_platform, p.gender, p.birth_date,
        p.subunit_ids, p.group_ids, p.favorite_stores, p.consents_true, p.consents_false, p.marketing, p.sms_status,
        p.email_status, p.push_status, p.country, p.properties, p.created_at, p.updated_at, p.groups, p.valid_from,
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
        valid_from = excluded.valid_from,
        next_change_at = excluded.next_change_at,
        recorded_xid = pg_current_xact_id()
)
SELECT (SELECT count(*) FROM appended_group_deltas) + (SELECT count(*) FROM appended_flow_deltas) AS deltas
