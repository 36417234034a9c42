-- What is kept of the sendings of community $1 beside what their events say: dispatches from events, counters and
-- rollups of steps $2, of each from the bucket in $3 on, from events and dispatches.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
steps AS MATERIALIZED (
    SELECT step, coalesce(first_kept, '-infinity') AS first_kept
    FROM unnest($2::text[], $3::timestamptz[]) AS steps (step, first_kept)
),
events AS MATERIALIZED (
    SELECT dispatch_id, sending_id, event, at FROM sending_events WHERE community_id = $1
),
seen AS MATERIALIZED (
    SELECT
        dispatch_id, sending_id, bit_or(1 << event) AS seen, min(at) FILTER (WHERE event = 2) AS transmitted_at
    FROM events
    GROUP BY dispatch_id, sending_id
),
dispatches AS MATERIALIZED (
    SELECT id, sending_id, profile_id, seen, days, transmitted_at, gender, age, optin_platform, country
    FROM sending_dispatches
    WHERE community_id = $1
),
firsts AS MATERIALIZED (
    SELECT DISTINCT ON (d.sending_id, coalesce(CAST(d.profile_id AS text), CAST(d.id AS text)))
        d.sending_id, seen.transmitted_at AS at, concat_ws(' ', d.gender, d.age, d.optin_platform, d.country) AS what
    FROM dispatches AS d
    JOIN seen ON seen.dispatch_id = d.id
    WHERE seen.transmitted_at IS NOT NULL
    ORDER BY
        d.sending_id, coalesce(CAST(d.profile_id AS text), CAST(d.id AS text)), seen.transmitted_at, d.id
),
days AS MATERIALIZED (
    SELECT dispatch_id, array_agg((day - date '2000-01-01') * 1024 + bits ORDER BY day) AS days
    FROM (
        SELECT dispatch_id, utc_day(at) AS day, bit_or(1 << event) | 1 AS bits
        FROM events
        GROUP BY dispatch_id, utc_day(at)
    ) AS of_days
    GROUP BY dispatch_id
),
chains AS MATERIALIZED (
    SELECT sending_id, event, day, previous, count(*) AS n
    FROM (
        SELECT
            e.sending_id, kind.event, utc_day(e.at) AS day,
            coalesce(
                lag(utc_day(e.at)) OVER (PARTITION BY e.dispatch_id, kind.event ORDER BY e.at), '-infinity'
            ) AS previous
        FROM events AS e
        CROSS JOIN LATERAL (VALUES (e.event), (CAST(0 AS smallint))) AS kind (event)
    ) AS by_day
    GROUP BY sending_id, event, day, previous
),
numbers AS MATERIALIZED (
    SELECT sending_id, sending_event(event) || '_count' AS name, count(*) AS n FROM events GROUP BY sending_id, event
    UNION ALL
    SELECT sending_id, 'dispatches_count', count(*) FROM seen GROUP BY sending_id
    UNION ALL
    SELECT sending_id, 'new_count', count(*) FROM seen WHERE seen = 2 GROUP BY sending_id
    UNION ALL
    SELECT sending_id, 'unique_' || sending_event(event) || '_count', count(DISTINCT dispatch_id)
    FROM events
    WHERE event IN (5, 6)
    GROUP BY sending_id, event
    UNION ALL
    SELECT sending_id, 'members_count', count(DISTINCT profile_id) FROM dispatches GROUP BY sending_id
),
kept AS MATERIALIZED (
    SELECT s.id AS sending_id, number.name, number.n
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
            ('unique_opened_count', unique_opened_count),
            ('clicked_count', clicked_count),
            ('unique_clicked_count', unique_clicked_count),
            ('bounced_count', bounced_count),
            ('unsubscribed_count', unsubscribed_count),
            ('complained_count', complained_count)
    ) AS number (name, n)
    WHERE s.community_id = $1
),
rolled AS MATERIALIZED (
    SELECT sending_id, step, bucket, event AS what, n FROM sending_rollups WHERE community_id = $1
    UNION ALL
    SELECT sending_id, step, bucket, 'recipients ' || concat_ws(' ', gender, age, optin_platform, country), n
    FROM recipient_rollups
    WHERE community_id = $1
),
moves AS MATERIALIZED (
    SELECT sending_id, step, bucket, what, count(*) AS n
    FROM (
        SELECT
            told.sending_id, told.what, steps.step, steps.first_kept,
            bucket_start(told.at, steps.step, zone.timezone) AS bucket
        FROM (
            SELECT sending_id, at, sending_event(event) AS what FROM events
            UNION ALL
            SELECT sending_id, at, 'recipients ' || what FROM firsts
        ) AS told
        CROSS JOIN zone
        JOIN steps ON steps.step <> '5m' OR told.what NOT LIKE 'recipients %'
        OFFSET 0
    ) AS bucketed
    WHERE bucket >= first_kept
    GROUP BY sending_id, step, bucket, what
)
SELECT key, name, kept, recomputed
FROM (
    SELECT
        'sending ' || sending_id AS key, name,
        sum(kept)::text AS kept, sum(recomputed)::text AS recomputed
    FROM (
        SELECT sending_id, name, n AS kept, 0 AS recomputed FROM kept
        UNION ALL
        SELECT sending_id, name, 0, n FROM numbers
    ) AS both_ways
    GROUP BY sending_id, name
    UNION ALL
    SELECT
        'sending ' || sending_id, what || ' in the ' || step || ' from ' || bucket, sum(kept)::text,
        sum(recomputed)::text
    FROM (
        SELECT r.sending_id, r.what, r.step, r.bucket, r.n AS kept, 0 AS recomputed
        FROM rolled AS r
        JOIN steps ON steps.step = r.step AND r.bucket >= steps.first_kept
        UNION ALL
        SELECT sending_id, what, step, bucket, 0, n FROM moves
    ) AS both_ways
    GROUP BY sending_id, what, step, bucket
    UNION ALL
    SELECT
        'sending ' || sending_id,
        coalesce(sending_event(event), 'anything') || ' on ' || day || ', last on ' || previous, sum(kept)::text,
        sum(recomputed)::text
    FROM (
        SELECT sending_id, event, day, previous, n AS kept, 0 AS recomputed
        FROM sending_days
        WHERE community_id = $1
        UNION ALL
        SELECT sending_id, event, day, previous, 0, n FROM chains
    ) AS both_ways
    GROUP BY sending_id, event, day, previous
    UNION ALL
    SELECT 'dispatch ' || d.id, 'days', d.days::text, days.days::text
    FROM dispatches AS d
    LEFT JOIN days ON days.dispatch_id = d.id
    UNION ALL
    SELECT
        'dispatch ' || d.id, 'seen', d.seen || ' since ' || coalesce(d.transmitted_at::text, ''),
        seen.seen || ' since ' || coalesce(seen.transmitted_at::text, '')
    FROM dispatches AS d
    LEFT JOIN seen ON seen.dispatch_id = d.id
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
    SELECT 'sending ' || s.id, 'first_at, last_at', concat_ws(' ', s.first_at, s.last_at), concat_ws(' ', e.first_at, e.last_at)
    FROM sendings AS s
    LEFT JOIN (
        SELECT sending_id, min(at) AS first_at, max(at) AS last_at FROM events GROUP BY sending_id
    ) AS e ON e.sending_id = s.id
    WHERE s.community_id = $1
) AS told
WHERE kept IS DISTINCT FROM recomputed
ORDER BY key, name
