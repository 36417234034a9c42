-- The days of a dispatch form a chain for each event type, for any event (0) and for each set of types: each day refers to the previous one.
-- A day inserted into the chain changes the previous day of its successor.
chains AS MATERIALIZED (
    SELECT
        d.sending_id, types.event_type, d.day, d.mask_before & types.mask <> 0 AS was_linked,
        max(d.day) FILTER (WHERE d.mask_before & types.mask <> 0) OVER earlier AS previous_before,
        max(d.day) OVER earlier AS previous
    FROM updated_dispatches AS updated
    JOIN days AS d ON d.dispatch_id = updated.dispatch_id
    JOIN counted_types AS types ON d.mask & types.mask <> 0
    WHERE updated.new_active_days <> updated.active_days AND cardinality(updated.new_active_days) > 1
    WINDOW earlier AS (
        PARTITION BY d.dispatch_id, types.event_type ORDER BY d.day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
-- Most dispatches have a single day, which has no previous one.
single_days AS MATERIALIZED (
    SELECT single.sending_id, types.event_type, single.day, sum(single.delta) AS delta
    FROM (
        SELECT
            sending_id, new_active_days[1] >> 10 AS day,
            coalesce(active_days[1], 0) & 1023 AS mask_before, new_active_days[1] & 1023 AS mask, count(*) AS delta
        FROM updated_dispatches
        WHERE new_active_days <> active_days AND cardinality(new_active_days) = 1
        GROUP BY 1, 2, 3, 4
    ) AS single
    JOIN counted_types AS types ON single.mask & types.mask <> 0 AND single.mask_before & types.mask = 0
    GROUP BY single.sending_id, types.event_type, single.day
),
day_deltas AS (
    SELECT sending_id, event_type, day, previous, 1 AS delta
    FROM chains
    WHERE NOT was_linked OR previous IS DISTINCT FROM previous_before
    UNION ALL
    SELECT sending_id, event_type, day, previous_before, -1
    FROM chains
    WHERE was_linked AND previous IS DISTINCT FROM previous_before
    UNION ALL
    SELECT sending_id, event_type, day, NULL, delta
    FROM single_days
    UNION ALL
    -- All but the first event of a day have the day itself as the previous one.
    SELECT sending_id, event_type, day, day, -1
    FROM chains
    WHERE NOT was_linked
    UNION ALL
    SELECT sending_id, event_type, day, day, -delta
    FROM single_days
    UNION ALL
    SELECT sending_id, types.event_type, day, day, sum(delta)
    FROM (
        SELECT sending_id, event_type, day, count(*) AS delta FROM new_events GROUP BY sending_id, event_type, day
    ) AS counts
    JOIN counted_types AS types ON (1 | (1 << counts.event_type)) & types.mask <> 0
    GROUP BY sending_id, types.event_type, day
),
updated_daily_uniques AS (
    INSERT INTO sending_daily_uniques AS stored (sending_id, count, community_id, day, previous_day, event_type)
    SELECT
        sending_id, sum(delta), $1, date '2000-01-01' + day, coalesce(date '2000-01-01' + previous, '-infinity'),
        event_type
    FROM day_deltas
    GROUP BY sending_id, event_type, day, previous
    HAVING sum(delta) <> 0
    ON CONFLICT (community_id, sending_id, event_type, day, previous_day) DO UPDATE
    SET count = stored.count + excluded.count
),
