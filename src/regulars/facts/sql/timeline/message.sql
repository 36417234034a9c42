-- The dispatches to profile $2 of community $1 before the position of a cursor, latest first; $3 of them at most. One without
-- a transmission has the time of its first event. All dispatches of the profile are read, from the index alone.
SELECT
    dispatch.at, dispatch.id,
    CASE
        WHEN event.clicked_at IS NOT NULL THEN 'clicked'
        WHEN event.opened_at IS NOT NULL THEN 'opened'
        WHEN event.failed_at IS NOT NULL THEN 'failed'
        WHEN event.delivered_at IS NOT NULL THEN 'delivered'
        WHEN dispatch.transmitted_at IS NOT NULL THEN 'sent'
        ELSE 'scheduled'
    END AS type,
    sending.external_id AS title, dispatch.sending_id, sending.external_id AS sending_external_id, sending.reporting_id,
    sending.channel, event.delivered_at, event.opened_at, event.clicked_at, event.failed_at, event.unsubscribed_at
FROM (
    SELECT *
    FROM (
        SELECT
            sending_id, id, transmitted_at,
            CASE
                WHEN transmitted_at IS NOT NULL THEN transmitted_at
                ELSE (
                    SELECT min(occurred_at)
                    FROM sending_events
                    WHERE community_id = $1 AND dispatch_id = sending_dispatches.id
                )
            END AS at
        FROM sending_dispatches
        WHERE community_id = $1 AND profile_id = $2
        OFFSET 0
    ) AS received
    WHERE
      -- include: before
    ORDER BY at DESC, id DESC
    LIMIT $3
) AS dispatch
JOIN sendings AS sending ON sending.community_id = $1 AND sending.id = dispatch.sending_id
CROSS JOIN LATERAL (
    SELECT
        min(occurred_at) FILTER (WHERE sending_event_name(event_type) = 'delivered') AS delivered_at,
        min(occurred_at) FILTER (WHERE sending_event_name(event_type) = 'opened') AS opened_at,
        min(occurred_at) FILTER (WHERE sending_event_name(event_type) = 'clicked') AS clicked_at,
        min(occurred_at) FILTER (WHERE sending_event_name(event_type) IN ('failed', 'bounced')) AS failed_at,
        min(occurred_at) FILTER (WHERE sending_event_name(event_type) = 'unsubscribed') AS unsubscribed_at
    FROM sending_events
    WHERE community_id = $1 AND dispatch_id = dispatch.id
) AS event
ORDER BY dispatch.at DESC, dispatch.id DESC
