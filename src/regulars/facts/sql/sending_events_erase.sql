-- Takes whatever was sent to profiles $2 of community $1 out of everything that is counted of it, in rollups of steps
-- $3 from the buckets in $4 on. Gives the sendings. An earlier statement holds the sendings' rows.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
gone AS MATERIALIZED (
    DELETE FROM sending_dispatches
    WHERE community_id = $1 AND profile_id = ANY ($2)
    RETURNING id, sending_id, profile_id, transmitted_at, seen, gender, age, optin_platform, country
),
events AS MATERIALIZED (
    DELETE FROM sending_events
    WHERE community_id = $1 AND dispatch_id = ANY (ARRAY(SELECT id FROM gone))
    RETURNING dispatch_id, sending_id, event, at
),
rolled_days AS (
    UPDATE sending_days AS kept
    SET n = kept.n - moved.n
    FROM (
        SELECT sending_id, event, day, previous, count(*) AS n
        FROM (
            SELECT
                e.sending_id, kind.event, utc_day(e.at) AS day,
                coalesce(
                    lag(utc_day(e.at)) OVER (PARTITION BY e.dispatch_id, kind.event ORDER BY e.at), '-infinity'
                ) AS previous
            FROM events AS e
            CROSS JOIN LATERAL (VALUES (e.event), (0)) AS kind (event)
        ) AS by_day
        GROUP BY sending_id, event, day, previous
    ) AS moved
    WHERE kept.community_id = $1 AND kept.sending_id = moved.sending_id AND kept.event = moved.event
      AND kept.day = moved.day AND kept.previous = moved.previous
),
recipients AS MATERIALIZED (
    SELECT DISTINCT ON (sending_id, profile_id)
        sending_id, gender, age, optin_platform, country,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions,
        transmitted_at AS at
    FROM gone
    WHERE transmitted_at IS NOT NULL
    ORDER BY sending_id, profile_id, transmitted_at, id
),
placed AS MATERIALIZED (
    SELECT at, step, bucket
    FROM (
        SELECT seen.at, steps.step, steps.first_kept, bucket_start(seen.at, steps.step, zone.timezone) AS bucket
        FROM (SELECT at FROM events UNION SELECT at FROM recipients) AS seen
        CROSS JOIN zone
        CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS steps (step, first_kept)
        OFFSET 0
    ) AS all_steps
    WHERE first_kept IS NULL OR bucket >= first_kept
),
rolled_events AS (
    UPDATE sending_rollups AS kept
    SET n = kept.n - moved.n
    FROM (
        SELECT placed.step, e.sending_id, placed.bucket, sending_event(e.event) AS event, count(*) AS n
        FROM events AS e
        JOIN placed ON placed.at = e.at
        GROUP BY placed.step, e.sending_id, placed.bucket, e.event
    ) AS moved
    WHERE kept.community_id = $1 AND kept.step = moved.step AND kept.sending_id = moved.sending_id
      AND kept.bucket = moved.bucket AND kept.event = moved.event
),
rolled_recipients AS (
    UPDATE recipient_rollups AS kept
    SET n = kept.n - moved.n
    FROM (
        SELECT placed.step, r.sending_id, placed.bucket, r.dimensions, count(*) AS n
        FROM recipients AS r
        JOIN placed ON placed.at = r.at
        GROUP BY placed.step, r.sending_id, placed.bucket, r.dimensions
    ) AS moved
    WHERE kept.community_id = $1 AND kept.step = moved.step AND kept.sending_id = moved.sending_id
      AND kept.bucket = moved.bucket AND kept.dimensions = moved.dimensions
),
counted AS (
    UPDATE sendings AS kept
    SET dispatches_count = kept.dispatches_count - d.dispatches,
        members_count = kept.members_count - d.members,
        new_count = kept.new_count - d.new,
        scheduled_count = kept.scheduled_count - e.scheduled,
        transmitted_count = kept.transmitted_count - e.transmitted,
        delivered_count = kept.delivered_count - e.delivered,
        failed_count = kept.failed_count - e.failed,
        opened_count = kept.opened_count - e.opened,
        unique_opened_count = kept.unique_opened_count - d.unique_opened,
        clicked_count = kept.clicked_count - e.clicked,
        unique_clicked_count = kept.unique_clicked_count - d.unique_clicked,
        bounced_count = kept.bounced_count - e.bounced,
        unsubscribed_count = kept.unsubscribed_count - e.unsubscribed,
        complained_count = kept.complained_count - e.complained
    FROM (
        SELECT
            sending_id, count(*) AS dispatches, count(DISTINCT profile_id) AS members,
            count(*) FILTER (WHERE seen = 2) AS new,
            count(*) FILTER (WHERE seen & 32 <> 0) AS unique_opened,
            count(*) FILTER (WHERE seen & 64 <> 0) AS unique_clicked
        FROM gone
        GROUP BY sending_id
    ) AS d
    JOIN (
        SELECT
            sending_id,
            count(*) FILTER (WHERE event = 1) AS scheduled,
            count(*) FILTER (WHERE event = 2) AS transmitted,
            count(*) FILTER (WHERE event = 3) AS delivered,
            count(*) FILTER (WHERE event = 4) AS failed,
            count(*) FILTER (WHERE event = 5) AS opened,
            count(*) FILTER (WHERE event = 6) AS clicked,
            count(*) FILTER (WHERE event = 7) AS bounced,
            count(*) FILTER (WHERE event = 8) AS unsubscribed,
            count(*) FILTER (WHERE event = 9) AS complained
        FROM events
        GROUP BY sending_id
    ) AS e ON e.sending_id = d.sending_id
    WHERE kept.community_id = $1 AND kept.id = d.sending_id
)
SELECT DISTINCT sending_id FROM gone
