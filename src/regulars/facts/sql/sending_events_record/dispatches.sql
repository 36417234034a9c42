-- What the new events add to each dispatch.
dispatch_changes AS MATERIALIZED (
    SELECT
        dispatch_id, bit_or(1 << event_type) AS event_mask,
        min(occurred_at) FILTER (WHERE event_type = 2) AS transmitted_at,
        CAST(min(CAST(profile_id AS text) COLLATE "C") AS uuid) AS profile_id
    FROM new_events
    GROUP BY dispatch_id
),
-- The event mask of each day of a dispatch, before and after. Bit 1 stands for any event.
days AS MATERIALIZED (
    SELECT sending_id, dispatch_id, day, bit_or(mask_before) AS mask_before, bit_or(mask) AS mask
    FROM (
        SELECT d.sending_id, d.dispatch_id, entry >> 10 AS day, entry & 1023 AS mask_before, entry & 1023 AS mask
        FROM dispatches AS d
        CROSS JOIN LATERAL unnest(d.active_days) AS entry
        UNION ALL
        SELECT sending_id, dispatch_id, day, 0, 1 | (1 << event_type)
        FROM new_events
    ) AS entries
    GROUP BY sending_id, dispatch_id, day
),
new_active_days AS MATERIALIZED (
    SELECT dispatch_id, array_agg(day * 1024 + mask ORDER BY day) AS active_days
    FROM days
    GROUP BY dispatch_id
    HAVING bool_or(mask <> mask_before)
),
-- The dispatches with new events, before and after. If events name several recipients, it is the one with the smallest
-- id. `is_linked`: the recipient became known, or is another one. `is_moved`: the first transmission, or its recipient,
-- is another one, so that the dimensions are read again.
merged_dispatches AS MATERIALIZED (
    SELECT
        d.*, d.event_mask | c.event_mask AS new_event_mask,
        coalesce(days.active_days, d.active_days) AS new_active_days,
        least(d.profile_id, c.profile_id) AS new_profile_id,
        least(d.transmitted_at, c.transmitted_at) AS new_transmitted_at,
        coalesce(c.profile_id < d.profile_id, c.profile_id IS NOT NULL) AS is_linked,
        coalesce(c.transmitted_at < d.transmitted_at, c.transmitted_at IS NOT NULL)
            OR coalesce(c.profile_id < d.profile_id, c.profile_id IS NOT NULL)
                AND coalesce(d.transmitted_at, c.transmitted_at) IS NOT NULL AS is_moved
    FROM dispatches AS d
    JOIN dispatch_changes AS c ON c.dispatch_id = d.dispatch_id
    LEFT JOIN new_active_days AS days ON days.dispatch_id = d.dispatch_id
),
-- The same with the recipient's dimensions as of the first transmission.
updated_dispatches AS MATERIALIZED (
    SELECT
        d.sending_id, d.dispatch_key_hash, d.dispatch_id, d.is_new, d.is_linked, d.is_moved, d.event_mask,
        d.new_event_mask, d.active_days, d.new_active_days, d.profile_id, d.new_profile_id, d.transmitted_at,
        d.new_transmitted_at, d.gender, d.age, d.optin_platform, d.country,
        CASE WHEN d.is_moved THEN m.gender ELSE d.gender END AS new_gender,
        CASE
            WHEN d.is_moved THEN age_group(m.birth_date, day_number(d.new_transmitted_at, community.timezone))
            ELSE d.age
        END AS new_age,
        CASE WHEN d.is_moved THEN m.optin_platform ELSE d.optin_platform END AS new_optin_platform,
        CASE WHEN d.is_moved THEN m.country ELSE d.country END AS new_country
    FROM merged_dispatches AS d
    CROSS JOIN community
    LEFT JOIN LATERAL (
        SELECT gender, birth_date, optin_platform, country
        FROM members
        WHERE d.is_moved AND community_id = $1 AND profile_id = d.new_profile_id
        OFFSET 0
    ) AS m ON TRUE
),
inserted_dispatches AS (
    INSERT INTO sending_dispatches (
        id, sending_id, dispatch_key_hash, profile_id, transmitted_at, community_id, event_mask, active_days, gender,
        age, optin_platform, country
    )
    SELECT
        dispatch_id, sending_id, dispatch_key_hash, new_profile_id, new_transmitted_at, $1, new_event_mask,
        new_active_days, new_gender, new_age, new_optin_platform, new_country
    FROM updated_dispatches
    WHERE is_new
),
stored_dispatches AS (
    UPDATE sending_dispatches AS stored
    SET event_mask = updated.new_event_mask,
        active_days = updated.new_active_days,
        profile_id = updated.new_profile_id,
        transmitted_at = updated.new_transmitted_at,
        gender = updated.new_gender,
        age = updated.new_age,
        optin_platform = updated.new_optin_platform,
        country = updated.new_country
    FROM updated_dispatches AS updated
    WHERE stored.community_id = $1 AND stored.sending_id = updated.sending_id
      AND stored.dispatch_key_hash = updated.dispatch_key_hash
      AND NOT updated.is_new
      AND (updated.new_active_days <> updated.active_days OR updated.is_linked OR updated.is_moved)
),
