-- A recipient counts once in a sending, however many dispatches it has there: by the first that was transmitted. These
-- are the recipients whose first transmission may have changed, former ones included.
affected_recipients AS MATERIALIZED (
    SELECT DISTINCT sending_id, recipient.profile_id
    FROM updated_dispatches
    CROSS JOIN LATERAL (VALUES (profile_id), (new_profile_id)) AS recipient (profile_id)
    WHERE (is_moved OR is_linked) AND recipient.profile_id IS NOT NULL
),
-- All stored dispatches of these recipients.
recipient_dispatches AS MATERIALIZED (
    SELECT d.*
    FROM affected_recipients AS affected
    CROSS JOIN LATERAL (
        SELECT id, sending_id, profile_id, transmitted_at, gender, age, optin_platform, country
        FROM sending_dispatches
        WHERE community_id = $1 AND profile_id = affected.profile_id AND sending_id = affected.sending_id
        OFFSET 0
    ) AS d
),
-- The same after the new events.
recipient_dispatches_after AS MATERIALIZED (
    SELECT id, sending_id, profile_id, transmitted_at, gender, age, optin_platform, country
    FROM recipient_dispatches
    WHERE id NOT IN (SELECT dispatch_id FROM updated_dispatches WHERE is_moved OR is_linked)
    UNION ALL
    SELECT
        dispatch_id, sending_id, new_profile_id, new_transmitted_at, new_gender, new_age, new_optin_platform,
        new_country
    FROM updated_dispatches
    WHERE (is_moved OR is_linked) AND new_profile_id IS NOT NULL
),
-- First transmissions that counted until now (-1) and those that count from now on (1). A dispatch without a recipient
-- counts by itself.
recipient_changes AS (
    (
        SELECT DISTINCT ON (sending_id, profile_id)
            -1 AS delta, sending_id, transmitted_at, gender, age, optin_platform, country
        FROM recipient_dispatches
        WHERE transmitted_at IS NOT NULL
        ORDER BY sending_id, profile_id, transmitted_at, id
    )
    UNION ALL
    SELECT -1, sending_id, transmitted_at, gender, age, optin_platform, country
    FROM updated_dispatches
    WHERE is_moved AND profile_id IS NULL AND transmitted_at IS NOT NULL
    UNION ALL
    (
        SELECT DISTINCT ON (sending_id, profile_id)
            1, sending_id, transmitted_at, gender, age, optin_platform, country
        FROM recipient_dispatches_after
        WHERE transmitted_at IS NOT NULL
        ORDER BY sending_id, profile_id, transmitted_at, id
    )
    UNION ALL
    SELECT 1, sending_id, new_transmitted_at, NULL, NULL, NULL, NULL
    FROM updated_dispatches
    WHERE is_moved AND new_profile_id IS NULL
),
