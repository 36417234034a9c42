-- Rows of sendings_stats
-- Parameters: from, to, community
WITH whole AS MATERIALIZED (
    SELECT
        since, until, CAST(since AS timestamp) AT TIME ZONE 'UTC' AS begins,
        CAST(until AS timestamp) AT TIME ZONE 'UTC' AS ends
    FROM (SELECT utc_day(CAST($1 AS TIMESTAMPTZ) - interval '1 microsecond') + 1 AS since, utc_day(CAST($2 AS TIMESTAMPTZ)) AS until) AS days
),
cut AS MATERIALIZED (
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, d.inside > 8 * d.beside AS has_days
    FROM sendings AS s
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(n) FILTER (WHERE day >= whole.since AND day < whole.until), 0) AS inside,
            coalesce(sum(n) FILTER (WHERE day < whole.since OR day >= whole.until), 0) AS beside
        FROM sending_days
        WHERE community_id = CAST($3 AS INT) AND sending_id = s.id AND event = 0
          AND day >= utc_day(CAST($1 AS TIMESTAMPTZ)) AND day <= utc_day(CAST($2 AS TIMESTAMPTZ) - interval '1 microsecond')
        OFFSET 0
    ) AS d
    WHERE s.community_id = CAST($3 AS INT) AND s.is_known
      AND s.first_at < CAST($2 AS TIMESTAMPTZ) AND s.last_at >= CAST($1 AS TIMESTAMPTZ) AND (s.first_at < CAST($1 AS TIMESTAMPTZ) OR s.last_at >= CAST($2 AS TIMESTAMPTZ))
),
beside AS MATERIALIZED (
    SELECT c.id, c.has_days, e.dispatch_id, e.event, count(*) AS n
    FROM cut AS c
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT CAST($1 AS TIMESTAMPTZ) AS since, CASE WHEN c.has_days THEN whole.begins ELSE CAST($2 AS TIMESTAMPTZ) END AS until
        UNION ALL
        SELECT whole.ends, CAST($2 AS TIMESTAMPTZ) WHERE c.has_days
    ) AS span
    CROSS JOIN generate_series(1, 9) AS kind (event)
    CROSS JOIN LATERAL (
        SELECT dispatch_id, event
        FROM sending_events
        WHERE community_id = CAST($3 AS INT) AND sending_id = c.id AND event = CAST(kind.event AS smallint)
          AND at >= span.since AND at < span.until
        OFFSET 0
    ) AS e
    GROUP BY c.id, c.has_days, e.dispatch_id, e.event
),
others AS MATERIALIZED (
    SELECT d.id, d.bits & ~coalesce(counted.bits, 0) AS bits
    FROM (
        SELECT id, has_days, dispatch_id, bit_or(1 << event) | 1 AS bits FROM beside GROUP BY id, has_days, dispatch_id
    ) AS d
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT bit_or(1 << event) | 1 AS bits
        FROM sending_events
        WHERE d.has_days AND community_id = CAST($3 AS INT) AND dispatch_id = d.dispatch_id
          AND at >= whole.begins AND at < whole.ends
        OFFSET 0
    ) AS counted
),
totals AS MATERIALIZED (
    SELECT c.id, k.event, sum(k.n) AS n, sum(k.n) FILTER (WHERE k.previous < whole.since) AS dispatches
    FROM cut AS c
    CROSS JOIN whole
    CROSS JOIN LATERAL (
        SELECT event, previous, n
        FROM sending_days
        WHERE c.has_days AND community_id = CAST($3 AS INT) AND sending_id = c.id
          AND event = ANY ('{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}')
          AND day >= whole.since AND day < whole.until
        OFFSET 0
    ) AS k
    GROUP BY c.id, k.event
    UNION ALL
    SELECT id, event, sum(n), 0
    FROM beside
    GROUP BY id, event
    UNION ALL
    SELECT o.id, kind.event, 0, count(*)
    FROM others AS o
    JOIN unnest(CAST('{0, 5, 6}' AS int[])) AS kind (event)
        ON o.bits & (1 << kind.event) <> 0
    GROUP BY o.id, kind.event
)
SELECT
    id AS sending_id, reporting_id, campaign_id, channel,
    dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
FROM sendings
WHERE community_id = CAST($3 AS INT) AND is_known AND first_at >= CAST($1 AS TIMESTAMPTZ) AND last_at < CAST($2 AS TIMESTAMPTZ)
UNION ALL
SELECT
    c.id, c.reporting_id, c.campaign_id, c.channel,
    coalesce(sum(t.dispatches) FILTER (WHERE t.event = 0), 0) AS dispatches,
    coalesce(sum(t.n) FILTER (WHERE t.event = 2), 0) AS transmitted,
    coalesce(sum(t.n) FILTER (WHERE t.event = 3), 0) AS delivered,
    coalesce(sum(t.n) FILTER (WHERE t.event = 4), 0) AS failed,
    coalesce(sum(t.n) FILTER (WHERE t.event = 5), 0) AS opened,
    coalesce(sum(t.n) FILTER (WHERE t.event = 6), 0) AS clicked,
    coalesce(sum(t.n) FILTER (WHERE t.event = 7), 0) AS bounced,
    coalesce(sum(t.n) FILTER (WHERE t.event = 8), 0) AS unsubscribed,
    coalesce(sum(t.n) FILTER (WHERE t.event = 9), 0) AS complained,
    coalesce(sum(t.dispatches) FILTER (WHERE t.event = 5), 0) AS unique_opened,
    coalesce(sum(t.dispatches) FILTER (WHERE t.event = 6), 0) AS unique_clicked
FROM cut AS c
JOIN totals AS t ON t.id = c.id
GROUP BY c.id, c.reporting_id, c.campaign_id, c.channel;

