-- Rows of sendings_stats
-- Parameters: from, to, community
WITH whole_days AS MATERIALIZED (
    SELECT
        first_day, end_day, CAST(first_day AS timestamp) AT TIME ZONE 'UTC' AS starts,
        CAST(end_day AS timestamp) AT TIME ZONE 'UTC' AS ends
    FROM (SELECT utc_day(CAST($1 AS TIMESTAMPTZ) - interval '1 microsecond') + 1 AS first_day, utc_day(CAST($2 AS TIMESTAMPTZ)) AS end_day) AS days
),
cut_sendings AS MATERIALIZED (
    SELECT
        s.id, s.reporting_id, s.campaign_id, s.channel,
        d.events_inside > 8 * d.events_outside AS uses_days
    FROM sendings AS s
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(count) FILTER (WHERE day >= whole_days.first_day AND day < whole_days.end_day), 0)
                AS events_inside,
            coalesce(sum(count) FILTER (WHERE day < whole_days.first_day OR day >= whole_days.end_day), 0)
                AS events_outside
        FROM sending_daily_uniques
        WHERE community_id = CAST($3 AS INT) AND sending_id = s.id AND event_type = 0
          AND day >= utc_day(CAST($1 AS TIMESTAMPTZ)) AND day <= utc_day(CAST($2 AS TIMESTAMPTZ) - interval '1 microsecond')
        OFFSET 0
    ) AS d
    WHERE s.community_id = CAST($3 AS INT) AND NOT s.is_placeholder
      AND s.first_event_at < CAST($2 AS TIMESTAMPTZ) AND s.last_event_at >= CAST($1 AS TIMESTAMPTZ) AND (s.first_event_at < CAST($1 AS TIMESTAMPTZ) OR s.last_event_at >= CAST($2 AS TIMESTAMPTZ))
),
events_outside AS MATERIALIZED (
    SELECT c.id, c.uses_days, e.dispatch_id, e.event_type, count(*) AS count
    FROM cut_sendings AS c
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT CAST($1 AS TIMESTAMPTZ) AS starts, CASE WHEN c.uses_days THEN whole_days.starts ELSE CAST($2 AS TIMESTAMPTZ) END AS ends
        UNION ALL
        SELECT whole_days.ends, CAST($2 AS TIMESTAMPTZ) WHERE c.uses_days
    ) AS span
    CROSS JOIN generate_series(1, 9) AS types (event_type)
    CROSS JOIN LATERAL (
        SELECT dispatch_id, event_type
        FROM sending_events
        WHERE community_id = CAST($3 AS INT) AND sending_id = c.id AND event_type = CAST(types.event_type AS smallint)
          AND occurred_at >= span.starts AND occurred_at < span.ends
        OFFSET 0
    ) AS e
    GROUP BY c.id, c.uses_days, e.dispatch_id, e.event_type
),
-- Of each dispatch with events outside whole days, the mask of their types, and of those that the days have counted.
uncounted_dispatches AS MATERIALIZED (
    SELECT d.id, d.event_mask, coalesce(counted.event_mask, 0) AS counted_mask
    FROM (
        SELECT id, uses_days, dispatch_id, bit_or(1 << event_type) | 1 AS event_mask
        FROM events_outside
        GROUP BY id, uses_days, dispatch_id
    ) AS d
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT bit_or(1 << event_type) | 1 AS event_mask
        FROM sending_events
        WHERE d.uses_days AND community_id = CAST($3 AS INT) AND dispatch_id = d.dispatch_id
          AND occurred_at >= whole_days.starts AND occurred_at < whole_days.ends
        OFFSET 0
    ) AS counted
),
totals AS MATERIALIZED (
    SELECT
        c.id, d.event_type, sum(d.count) AS events,
        sum(d.count) FILTER (WHERE d.previous_day < whole_days.first_day) AS dispatches
    FROM cut_sendings AS c
    CROSS JOIN whole_days
    CROSS JOIN LATERAL (
        SELECT event_type, previous_day, count
        FROM sending_daily_uniques
        WHERE c.uses_days AND community_id = CAST($3 AS INT) AND sending_id = c.id
          AND event_type = ANY ('{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}')
          AND day >= whole_days.first_day AND day < whole_days.end_day
        OFFSET 0
    ) AS d
    GROUP BY c.id, d.event_type
    UNION ALL
    SELECT id, event_type, sum(count), 0
    FROM events_outside
    GROUP BY id, event_type
    UNION ALL
    SELECT d.id, types.event_type, 0, count(*)
    FROM uncounted_dispatches AS d
    JOIN (VALUES (0, 1), (5, 32), (6, 64), (7, 128), (8, 256), (10, 104), (11, 96), (12, 360)) AS types (event_type, mask)
        ON d.event_mask & types.mask <> 0 AND d.counted_mask & types.mask = 0
    GROUP BY d.id, types.event_type
)
SELECT
    id AS sending_id, reporting_id, campaign_id, channel,
    dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked, unique_delivered_count AS unique_delivered, unique_engaged_count AS unique_engaged, unique_bounced_count AS unique_bounced, unique_unsubscribed_count AS unique_unsubscribed
FROM sendings
WHERE community_id = CAST($3 AS INT) AND NOT is_placeholder AND first_event_at >= CAST($1 AS TIMESTAMPTZ) AND last_event_at < CAST($2 AS TIMESTAMPTZ)
UNION ALL
SELECT
    c.id, c.reporting_id, c.campaign_id, c.channel,
    coalesce(sum(CASE t.event_type WHEN 0 THEN 1 * t.dispatches END), 0) AS dispatches,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 2), 0) AS transmitted,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 3), 0) AS delivered,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 4), 0) AS failed,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 5), 0) AS opened,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 6), 0) AS clicked,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 7), 0) AS bounced,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 8), 0) AS unsubscribed,
    coalesce(sum(t.events) FILTER (WHERE t.event_type = 9), 0) AS complained,
    coalesce(sum(CASE t.event_type WHEN 5 THEN 1 * t.dispatches END), 0) AS unique_opened,
    coalesce(sum(CASE t.event_type WHEN 6 THEN 1 * t.dispatches END), 0) AS unique_clicked,
    coalesce(sum(CASE t.event_type WHEN 10 THEN 1 * t.dispatches END), 0) AS unique_delivered,
    coalesce(sum(CASE t.event_type WHEN 11 THEN 1 * t.dispatches END), 0) AS unique_engaged,
    coalesce(sum(CASE t.event_type WHEN 7 THEN 1 * t.dispatches END), 0) AS unique_bounced,
    coalesce(sum(CASE t.event_type WHEN 8 THEN 1 * t.dispatches WHEN 10 THEN 1 * t.dispatches WHEN 12 THEN -1 * t.dispatches END), 0) AS unique_unsubscribed
FROM cut_sendings AS c
JOIN totals AS t ON t.id = c.id
GROUP BY c.id, c.reporting_id, c.campaign_id, c.channel;

