-- What is stored of the sendings of community $1 and differs from what their events say: dispatches, counters, daily
-- uniques, and rollups, see bucket_totals.sql.
WITH
-- include: counted_types
events AS MATERIALIZED (
    SELECT dispatch_id, sending_id, event_type, occurred_at FROM sending_events WHERE community_id = $1
),
dispatches AS MATERIALIZED (
    SELECT
        id, sending_id, dispatch_key_hash, profile_id, event_mask, active_days, transmitted_at, gender, age,
        optin_platform, country
    FROM sending_dispatches
    WHERE community_id = $1
),
recomputed_dispatches AS MATERIALIZED (
    SELECT
        dispatch_id, sending_id, bit_or(1 << event_type) AS event_mask,
        min(occurred_at) FILTER (WHERE event_type = 2) AS transmitted_at
    FROM events
    GROUP BY dispatch_id, sending_id
),
recomputed_days AS MATERIALIZED (
    SELECT dispatch_id, array_agg((day - date '2000-01-01') * 1024 + mask ORDER BY day) AS active_days
    FROM (
        SELECT dispatch_id, utc_day(occurred_at) AS day, bit_or(1 << event_type) | 1 AS mask
        FROM events
        GROUP BY dispatch_id, utc_day(occurred_at)
    ) AS days
    GROUP BY dispatch_id
),
-- The first transmission to each recipient of each sending, with the recipient's dimensions.
first_transmissions AS MATERIALIZED (
    SELECT DISTINCT ON (d.sending_id, coalesce(CAST(d.profile_id AS text), CAST(d.id AS text)))
        d.sending_id, r.transmitted_at, concat_ws(' ', d.gender, d.age, d.optin_platform, d.country) AS dimensions
    FROM dispatches AS d
    JOIN recomputed_dispatches AS r ON r.dispatch_id = d.id
    WHERE r.transmitted_at IS NOT NULL
    ORDER BY d.sending_id, coalesce(CAST(d.profile_id AS text), CAST(d.id AS text)), r.transmitted_at, d.id
),
recomputed_daily_uniques AS MATERIALIZED (
    SELECT sending_id, event_type, day, previous_day, count(*) AS count
    FROM (
        SELECT
            e.sending_id, types.event_type, utc_day(e.occurred_at) AS day,
            coalesce(
                lag(utc_day(e.occurred_at)) OVER (PARTITION BY e.dispatch_id, types.event_type ORDER BY e.occurred_at),
                '-infinity'
            ) AS previous_day
        FROM events AS e
        JOIN counted_types AS types ON (1 | (1 << e.event_type)) & types.mask <> 0
    ) AS by_day
    GROUP BY sending_id, event_type, day, previous_day
),
recomputed_counters AS MATERIALIZED (
    SELECT sending_id, sending_event_name(event_type) || '_count' AS name, count(*) AS count
    FROM events
    GROUP BY sending_id, event_type
    UNION ALL
    SELECT sending_id, 'dispatches_count', count(*) FROM recomputed_dispatches GROUP BY sending_id
    UNION ALL
    SELECT sending_id, 'new_count', count(*) FROM recomputed_dispatches WHERE event_mask = 2 GROUP BY sending_id
    UNION ALL
    -- include: recomputed_unique_counts
    UNION ALL
    SELECT sending_id, 'members_count', count(DISTINCT profile_id) FROM dispatches GROUP BY sending_id
),
stored_counters AS MATERIALIZED (
    SELECT s.id AS sending_id, counters.name, counters.count
    FROM sendings AS s
    CROSS JOIN LATERAL (
        VALUES
            ('dispatches_count', dispatches_count),
            ('members_count', members_count),
            ('new_count', new_count),
            ('scheduled_count', scheduled_count),
            ('transmitted_count', transmitted_count),
            ('delivered_count', delivered_count),
            ('failed_count', failed_count),
            ('opened_count', opened_count),
            ('clicked_count', clicked_count),
            ('bounced_count', bounced_count),
            ('unsubscribed_count', unsubscribed_count),
            ('complained_count', complained_count),
            -- include: stored_unique_counts
    ) AS counters (name, count)
    WHERE s.community_id = $1
),
stored_buckets AS (
    SELECT
        'sending ' || sending_id AS key, event_type AS counted, granularity, bucket, count AS stored, 0 AS recomputed
    FROM sending_rollups
    WHERE community_id = $1
    UNION ALL
    SELECT
        'sending ' || sending_id, 'recipients ' || concat_ws(' ', gender, age, optin_platform, country), granularity,
        bucket, count, 0
    FROM recipient_rollups
    WHERE community_id = $1
),
changes AS (
    SELECT
        'sending ' || sending_id AS key, sending_event_name(event_type) AS counted, occurred_at AS at, 0 AS stored,
        1 AS recomputed
    FROM events
    UNION ALL
    SELECT 'sending ' || sending_id, 'recipients ' || dimensions, transmitted_at, 0, 1 FROM first_transmissions
),
-- include: bucket_totals
SELECT key, name, stored, recomputed
FROM (
    SELECT
        'sending ' || sending_id AS key, name, sum(stored)::text AS stored, sum(recomputed)::text AS recomputed
    FROM (
        SELECT sending_id, name, count AS stored, 0 AS recomputed FROM stored_counters
        UNION ALL
        SELECT sending_id, name, 0, count FROM recomputed_counters
    ) AS counters
    GROUP BY sending_id, name
    UNION ALL
    SELECT key, name, stored, recomputed
    FROM bucket_totals
    WHERE granularity <> '5m' OR counted NOT LIKE 'recipients %'
    UNION ALL
    SELECT
        'sending ' || sending_id,
        CASE event_type
            WHEN 0 THEN 'any event'
            ELSE coalesce(sending_event_name(CAST(event_type AS smallint)), 'set of events ' || event_type)
        END || ' on ' || day || ', previously on ' || previous_day,
        sum(stored)::text, sum(recomputed)::text
    FROM (
        SELECT sending_id, event_type, day, previous_day, count AS stored, 0 AS recomputed
        FROM sending_daily_uniques
        WHERE community_id = $1
        UNION ALL
        SELECT sending_id, event_type, day, previous_day, 0, count FROM recomputed_daily_uniques
    ) AS daily_uniques
    GROUP BY sending_id, event_type, day, previous_day
    UNION ALL
    SELECT 'dispatch ' || d.id, 'active_days', d.active_days::text, r.active_days::text
    FROM dispatches AS d
    LEFT JOIN recomputed_days AS r ON r.dispatch_id = d.id
    UNION ALL
    SELECT
        'dispatch ' || d.id, 'event_mask, transmitted_at',
        d.event_mask || ', ' || coalesce(d.transmitted_at::text, ''),
        r.event_mask || ', ' || coalesce(r.transmitted_at::text, '')
    FROM dispatches AS d
    LEFT JOIN recomputed_dispatches AS r ON r.dispatch_id = d.id
    UNION ALL
    SELECT 'event of dispatch ' || e.dispatch_id, 'dispatch', 'a row', NULL
    FROM (SELECT DISTINCT dispatch_id FROM events) AS e
    WHERE NOT EXISTS (SELECT FROM dispatches AS d WHERE d.id = e.dispatch_id)
    UNION ALL
    SELECT 'dispatch ' || d.id, 'profile_id', d.profile_id::text, NULL
    FROM dispatches AS d
    WHERE d.profile_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM profiles AS p WHERE p.community_id = $1 AND p.profile_id = d.profile_id)
    UNION ALL
    -- A dispatch without an id of its own has the id of its recipient as the key.
    SELECT 'dispatch ' || d.id, 'dispatch_key_hash', d.dispatch_key_hash::text, d.profile_id::text
    FROM dispatches AS d
    JOIN profiles AS p ON p.community_id = $1 AND p.profile_id = d.dispatch_key_hash
    UNION ALL
    SELECT
        'sending ' || s.id, 'first_event_at, last_event_at', concat_ws(' ', s.first_event_at, s.last_event_at),
        concat_ws(' ', e.first_event_at, e.last_event_at)
    FROM sendings AS s
    LEFT JOIN (
        SELECT sending_id, min(occurred_at) AS first_event_at, max(occurred_at) AS last_event_at
        FROM events
        GROUP BY sending_id
    ) AS e ON e.sending_id = s.id
    WHERE s.community_id = $1
) AS compared
WHERE stored IS DISTINCT FROM recomputed
ORDER BY key, name
