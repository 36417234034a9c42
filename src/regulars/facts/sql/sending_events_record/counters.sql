-- What the new events add to the counters of each sending.
counter_deltas AS MATERIALIZED (
    SELECT
        sending_id, min(first_event_at) AS first_event_at, max(last_event_at) AS last_event_at,
        sum(dispatches) AS dispatches, sum(members) AS members, sum(new) AS new,
        -- include: summed_unique_deltas
        ,
        -- include: summed_event_counts
    FROM (
        SELECT
            sending_id, event_type, count(*) AS events, min(occurred_at) AS first_event_at,
            max(occurred_at) AS last_event_at, 0 AS dispatches, 0 AS members, 0 AS new,
            -- include: no_unique_deltas
        FROM new_events
        GROUP BY sending_id, event_type
        UNION ALL
        SELECT
            sending_id, NULL, 0, NULL, NULL,
            count(*) FILTER (WHERE is_new), 0,
            count(*) FILTER (WHERE new_event_mask = 2) - count(*) FILTER (WHERE event_mask = 2),
            -- include: unique_deltas
        FROM updated_dispatches
        GROUP BY sending_id
        UNION ALL
        SELECT
            sending_id, NULL, 0, NULL, NULL, 0, count(DISTINCT profile_id), 0,
            -- include: no_unique_deltas
        FROM recipient_dispatches_after
        GROUP BY sending_id
        UNION ALL
        SELECT
            sending_id, NULL, 0, NULL, NULL, 0, -count(DISTINCT profile_id), 0,
            -- include: no_unique_deltas
        FROM recipient_dispatches
        GROUP BY sending_id
    ) AS parts
    GROUP BY sending_id
),
updated_sendings AS (
    UPDATE sendings AS stored
    SET first_event_at = least(stored.first_event_at, deltas.first_event_at),
        last_event_at = greatest(stored.last_event_at, deltas.last_event_at),
        -- include: add_counters
    FROM counter_deltas AS deltas
    WHERE stored.community_id = $1 AND stored.id = deltas.sending_id
),
