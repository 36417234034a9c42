-- Tells events of sendings in community $1, as arrays: of sendings $2, digests of dispatches $3 and of the events' own
-- ids $4, codes $5, instants $6, recipients $7 (the nil UUID for none). Counts what is new in the sendings and in
-- rollups of steps $8, of each from the bucket in $9 on (null: all). Gives the places, from 1, of the rows that were new.
--
-- An earlier statement holds the sendings' rows. All that is kept follows from which events there are, not from their
-- order: bits that are joined, the first of instants.
WITH zone AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
arrays AS MATERIALIZED (
    SELECT
        CAST(CAST($2 AS text) AS bigint[]) AS sendings, CAST(CAST($3 AS text) AS uuid[]) AS dispatches,
        CAST(CAST($4 AS text) AS uuid[]) AS keys, CAST(CAST($5 AS text) AS smallint[]) AS events,
        CAST(CAST($6 AS text) AS timestamptz[]) AS ats, CAST(CAST($7 AS text) AS uuid[]) AS profiles
),
given AS MATERIALIZED (
    SELECT
        place, sendings[place] AS sending_id, dispatches[place] AS dispatch_key, keys[place] AS key,
        events[place] AS event, ats[place] AS at,
        nullif(profiles[place], '00000000-0000-0000-0000-000000000000') AS profile_id
    FROM arrays
    -- A guess of a thousand rows, so that what follows is joined by hashes.
    CROSS JOIN LATERAL generate_subscripts(sendings, 1) AS place
),
known AS MATERIALIZED (
    SELECT
        named.sending_id, named.dispatch_key, d.id IS NULL AS is_new,
        coalesce(d.id, next_id()) AS dispatch_id, coalesce(d.seen, 0) AS seen,
        coalesce(d.days, '{}') AS days,
        d.profile_id, d.transmitted_at, d.gender, d.age, d.optin_platform, d.country
    FROM (SELECT sending_id, dispatch_key FROM given GROUP BY sending_id, dispatch_key) AS named
    LEFT JOIN LATERAL (
        SELECT id, seen, days, profile_id, transmitted_at, gender, age, optin_platform, country
        FROM sending_dispatches
        WHERE community_id = $1 AND sending_id = named.sending_id AND key = named.dispatch_key
        OFFSET 0
    ) AS d ON TRUE
),
fresh AS MATERIALIZED (
    SELECT DISTINCT ON (k.dispatch_id, g.key)
        k.dispatch_id, k.sending_id, g.key, g.event, g.at, g.profile_id, g.place,
        utc_day(g.at) - date '2000-01-01' AS day
    FROM given AS g
    JOIN known AS k ON k.sending_id = g.sending_id AND k.dispatch_key = g.dispatch_key
    LEFT JOIN LATERAL (
        SELECT TRUE AS is_there
        FROM sending_events
        WHERE NOT k.is_new AND community_id = $1 AND dispatch_id = k.dispatch_id AND key = g.key
        OFFSET 0
    ) AS kept ON TRUE
    WHERE kept.is_there IS NULL
    ORDER BY k.dispatch_id, g.key, g.place
),
put_events AS (
    INSERT INTO sending_events (dispatch_id, sending_id, at, key, community_id, event)
    SELECT dispatch_id, sending_id, at, key, $1, event
    FROM fresh
),
touched AS MATERIALIZED (
    SELECT
        dispatch_id, bit_or(1 << event) AS bits, min(at) FILTER (WHERE event = 2) AS transmitted_at,
        CAST(min(CAST(profile_id AS text) COLLATE "C") AS uuid) AS profile_id
    FROM fresh
    GROUP BY dispatch_id
),
days AS MATERIALIZED (
    SELECT sending_id, dispatch_id, day, bit_or(bits) AS bits, bit_or(bits_now) AS bits_now
    FROM (
        SELECT k.sending_id, k.dispatch_id, entry >> 10 AS day, entry & 1023 AS bits, entry & 1023 AS bits_now
        FROM known AS k
        CROSS JOIN LATERAL unnest(k.days) AS entry
        UNION ALL
        SELECT sending_id, dispatch_id, day, 0, 1 | (1 << event)
        FROM fresh
    ) AS each
    GROUP BY sending_id, dispatch_id, day
),
days_now AS MATERIALIZED (
    SELECT dispatch_id, array_agg(day * 1024 + bits_now ORDER BY day) AS days
    FROM days
    GROUP BY dispatch_id
    HAVING bool_or(bits_now <> bits)
),
changed AS MATERIALIZED (
    SELECT
        k.*, k.seen | t.bits AS seen_now, coalesce(d.days, k.days) AS days_now,
        coalesce(k.profile_id, t.profile_id) AS profile_now,
        least(k.transmitted_at, t.transmitted_at) AS transmitted_now,
        k.profile_id IS NULL AND t.profile_id IS NOT NULL AS is_linked,
        coalesce(t.transmitted_at < k.transmitted_at, t.transmitted_at IS NOT NULL)
            OR k.profile_id IS NULL AND t.profile_id IS NOT NULL
                AND coalesce(k.transmitted_at, t.transmitted_at) IS NOT NULL AS is_moved
    FROM known AS k
    JOIN touched AS t ON t.dispatch_id = k.dispatch_id
    LEFT JOIN days_now AS d ON d.dispatch_id = k.dispatch_id
),
told AS MATERIALIZED (
    SELECT
        c.sending_id, c.dispatch_key, c.dispatch_id, c.is_new, c.is_linked, c.is_moved, c.seen, c.seen_now,
        c.days, c.days_now,
        c.profile_id, c.profile_now, c.transmitted_at, c.transmitted_now,
        c.gender, c.age, c.optin_platform, c.country,
        CASE WHEN c.is_moved THEN m.gender ELSE c.gender END AS gender_now,
        CASE
            WHEN c.is_moved THEN age_group(m.birth_date, day_number(c.transmitted_now, zone.timezone))
            ELSE c.age
        END AS age_now,
        CASE WHEN c.is_moved THEN m.optin_platform ELSE c.optin_platform END AS platform_now,
        CASE WHEN c.is_moved THEN m.country ELSE c.country END AS country_now
    FROM changed AS c
    CROSS JOIN zone
    LEFT JOIN LATERAL (
        SELECT gender, birth_date, optin_platform, country
        FROM members
        WHERE c.is_moved AND community_id = $1 AND profile_id = c.profile_now
        OFFSET 0
    ) AS m ON TRUE
),
put_dispatches AS (
    INSERT INTO sending_dispatches (
        id, sending_id, key, profile_id, transmitted_at, community_id, seen, days, gender, age, optin_platform,
        country
    )
    SELECT
        dispatch_id, sending_id, dispatch_key, profile_now, transmitted_now, $1, seen_now, days_now, gender_now,
        age_now, platform_now, country_now
    FROM told
    WHERE is_new
),
changed_dispatches AS (
    UPDATE sending_dispatches AS kept
    SET seen = told.seen_now,
        days = told.days_now,
        profile_id = told.profile_now,
        transmitted_at = told.transmitted_now,
        gender = told.gender_now,
        age = told.age_now,
        optin_platform = told.platform_now,
        country = told.country_now
    FROM told
    WHERE kept.community_id = $1 AND kept.sending_id = told.sending_id AND kept.key = told.dispatch_key
      AND NOT told.is_new AND (told.days_now <> told.days OR told.is_linked OR told.is_moved)
),
-- A recipient counts once a sending, whatever number of dispatches it has there: by the first that was transmitted.
affected AS MATERIALIZED (
    SELECT DISTINCT sending_id, profile_now AS profile_id
    FROM told
    WHERE (is_moved OR is_linked) AND profile_now IS NOT NULL
),
peers AS MATERIALIZED (
    SELECT d.*
    FROM affected
    CROSS JOIN LATERAL (
        SELECT id, sending_id, profile_id, transmitted_at, gender, age, optin_platform, country
        FROM sending_dispatches
        WHERE community_id = $1 AND profile_id = affected.profile_id AND sending_id = affected.sending_id
        OFFSET 0
    ) AS d
),
recipients AS (
    (
        SELECT DISTINCT ON (sending_id, profile_id)
            -1 AS n, sending_id, transmitted_at, gender, age, optin_platform, country
        FROM peers
        WHERE transmitted_at IS NOT NULL
        ORDER BY sending_id, profile_id, transmitted_at, id
    )
    UNION ALL
    SELECT -1, sending_id, transmitted_at, gender, age, optin_platform, country
    FROM told
    WHERE is_moved AND profile_id IS NULL AND transmitted_at IS NOT NULL
    UNION ALL
    (
        SELECT DISTINCT ON (sending_id, profile_id)
            1, sending_id, transmitted_at, gender, age, optin_platform, country
        FROM (
            SELECT id, sending_id, profile_id, transmitted_at, gender, age, optin_platform, country
            FROM peers
            WHERE id NOT IN (SELECT dispatch_id FROM told WHERE is_moved OR is_linked)
            UNION ALL
            SELECT
                dispatch_id, sending_id, profile_now, transmitted_now, gender_now, age_now, platform_now, country_now
            FROM told
            WHERE (is_moved OR is_linked) AND profile_now IS NOT NULL
        ) AS now
        WHERE transmitted_at IS NOT NULL
        ORDER BY sending_id, profile_id, transmitted_at, id
    )
    UNION ALL
    SELECT 1, sending_id, transmitted_now, NULL, NULL, NULL, NULL
    FROM told
    WHERE is_moved AND profile_now IS NULL
),
moves AS MATERIALIZED (
    SELECT sending_id, bucket, event, n
    FROM (
        SELECT sending_id, bucket, event, count(*) AS n
        FROM (
            SELECT sending_id, event, bucket_start(at, '5m', zone.timezone) AS bucket
            FROM fresh
            CROSS JOIN zone
            OFFSET 0
        ) AS bucketed
        GROUP BY sending_id, bucket, event
    ) AS netted
),
recipient_moves AS MATERIALIZED (
    SELECT
        sending_id, bucket, gender, age, optin_platform, country, sum(n) AS n,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions
    FROM (
        SELECT recipients.*, bucket_start(transmitted_at, '5m', zone.timezone) AS bucket
        FROM recipients
        CROSS JOIN zone
        OFFSET 0
    ) AS bucketed
    GROUP BY sending_id, bucket, gender, age, optin_platform, country
    HAVING sum(n) <> 0
),
buckets AS MATERIALIZED (
    SELECT since, step, bucket
    FROM (
        SELECT
            seen.bucket AS since, steps.step, steps.first_kept,
            bucket_start(seen.bucket, steps.step, zone.timezone) AS bucket
        FROM (SELECT bucket FROM moves UNION SELECT bucket FROM recipient_moves) AS seen
        CROSS JOIN zone
        CROSS JOIN unnest($8::text[], $9::timestamptz[]) AS steps (step, first_kept)
        OFFSET 0
    ) AS all_steps
    WHERE first_kept IS NULL OR bucket >= first_kept
),
rolled_events AS (
    INSERT INTO sending_rollups AS kept (community_id, step, sending_id, bucket, event, n)
    SELECT $1, b.step, m.sending_id, b.bucket, sending_event(m.event), sum(m.n)
    FROM moves AS m
    JOIN buckets AS b ON b.since = m.bucket
    GROUP BY b.step, m.sending_id, b.bucket, m.event
    ON CONFLICT (community_id, step, sending_id, bucket, event) DO UPDATE
    SET n = kept.n + excluded.n
),
rolled_recipients AS (
    INSERT INTO recipient_rollups AS kept (
        community_id, step, sending_id, bucket, dimensions, gender, age, optin_platform, country, n
    )
    SELECT
        $1, b.step, m.sending_id, b.bucket, m.dimensions, m.gender, m.age, m.optin_platform, m.country, sum(m.n)
    FROM recipient_moves AS m
    JOIN buckets AS b ON b.since = m.bucket AND b.step <> '5m'
    GROUP BY b.step, m.sending_id, b.bucket, m.dimensions, m.gender, m.age, m.optin_platform, m.country
    HAVING sum(m.n) <> 0
    ON CONFLICT (community_id, step, sending_id, bucket, dimensions) DO UPDATE
    SET n = kept.n + excluded.n
),
-- Of each kind of event, and of any, the days of a dispatch are a chain: a day that comes into it has one before it,
-- and the one behind it has another before it by now.
chains AS MATERIALIZED (
    SELECT
        d.sending_id, kind.event, d.day, d.bits & (1 << kind.event) <> 0 AS was,
        max(d.day) FILTER (WHERE d.bits & (1 << kind.event) <> 0) OVER earlier AS previous,
        max(d.day) OVER earlier AS previous_now
    FROM told AS t
    JOIN days AS d ON d.dispatch_id = t.dispatch_id
    JOIN generate_series(0, 9) AS kind (event) ON d.bits_now & (1 << kind.event) <> 0
    WHERE t.days_now <> t.days AND cardinality(t.days_now) > 1
    WINDOW earlier AS (
        PARTITION BY d.dispatch_id, kind.event ORDER BY d.day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
-- Most have one day, with none before it.
only_days AS MATERIALIZED (
    SELECT o.sending_id, kind.event, o.day, sum(o.n) AS n
    FROM (
        SELECT
            sending_id, days_now[1] >> 10 AS day, days_now[1] & ~coalesce(days[1], 0) & 1023 AS bits, count(*) AS n
        FROM told
        WHERE days_now <> days AND cardinality(days_now) = 1
        GROUP BY 1, 2, 3
    ) AS o
    JOIN generate_series(0, 9) AS kind (event) ON o.bits & (1 << kind.event) <> 0
    GROUP BY o.sending_id, kind.event, o.day
),
day_moves AS (
    SELECT sending_id, event, day, previous_now AS previous, 1 AS n
    FROM chains
    WHERE NOT was OR previous_now IS DISTINCT FROM previous
    UNION ALL
    SELECT sending_id, event, day, previous, -1
    FROM chains
    WHERE was AND previous_now IS DISTINCT FROM previous
    UNION ALL
    SELECT sending_id, event, day, NULL, n
    FROM only_days
    UNION ALL
    -- What is not the first of a day has the day itself before it.
    SELECT sending_id, event, day, day, -1
    FROM chains
    WHERE NOT was
    UNION ALL
    SELECT sending_id, event, day, day, -n
    FROM only_days
    UNION ALL
    SELECT sending_id, kind.event, day, day, sum(n)
    FROM (SELECT sending_id, event, day, count(*) AS n FROM fresh GROUP BY sending_id, event, day) AS each
    CROSS JOIN LATERAL (VALUES (0), (each.event)) AS kind (event)
    GROUP BY sending_id, kind.event, day
),
rolled_days AS (
    INSERT INTO sending_days AS kept (sending_id, n, community_id, day, previous, event)
    SELECT
        sending_id, sum(n), $1, date '2000-01-01' + day, coalesce(date '2000-01-01' + previous, '-infinity'), event
    FROM day_moves
    GROUP BY sending_id, event, day, previous
    HAVING sum(n) <> 0
    ON CONFLICT (community_id, sending_id, event, day, previous) DO UPDATE
    SET n = kept.n + excluded.n
),
numbers AS MATERIALIZED (
    SELECT
        sending_id, min(first_at) AS first_at, max(last_at) AS last_at, sum(dispatches) AS dispatches,
        sum(members) AS members, sum(new) AS new, sum(unique_opened) AS unique_opened,
        sum(unique_clicked) AS unique_clicked,
        coalesce(sum(n) FILTER (WHERE event = 1), 0) AS scheduled,
        coalesce(sum(n) FILTER (WHERE event = 2), 0) AS transmitted,
        coalesce(sum(n) FILTER (WHERE event = 3), 0) AS delivered,
        coalesce(sum(n) FILTER (WHERE event = 4), 0) AS failed,
        coalesce(sum(n) FILTER (WHERE event = 5), 0) AS opened,
        coalesce(sum(n) FILTER (WHERE event = 6), 0) AS clicked,
        coalesce(sum(n) FILTER (WHERE event = 7), 0) AS bounced,
        coalesce(sum(n) FILTER (WHERE event = 8), 0) AS unsubscribed,
        coalesce(sum(n) FILTER (WHERE event = 9), 0) AS complained
    FROM (
        SELECT
            sending_id, event, count(*) AS n, min(at) AS first_at, max(at) AS last_at,
            0 AS dispatches, 0 AS members, 0 AS new, 0 AS unique_opened, 0 AS unique_clicked
        FROM fresh
        GROUP BY sending_id, event
        UNION ALL
        SELECT
            sending_id, NULL, 0, NULL, NULL,
            count(*) FILTER (WHERE is_new), 0,
            count(*) FILTER (WHERE seen_now = 2) - count(*) FILTER (WHERE seen = 2),
            count(*) FILTER (WHERE seen_now & 32 <> 0) - count(*) FILTER (WHERE seen & 32 <> 0),
            count(*) FILTER (WHERE seen_now & 64 <> 0) - count(*) FILTER (WHERE seen & 64 <> 0)
        FROM told
        GROUP BY sending_id
        UNION ALL
        SELECT sending_id, NULL, 0, NULL, NULL, 0, count(*), 0, 0, 0
        FROM (SELECT sending_id, profile_id FROM affected EXCEPT SELECT sending_id, profile_id FROM peers) AS others
        GROUP BY sending_id
    ) AS parts
    GROUP BY sending_id
),
counted AS (
    UPDATE sendings AS kept
    SET dispatches_count = kept.dispatches_count + e.dispatches,
        members_count = kept.members_count + e.members,
        new_count = kept.new_count + e.new,
        scheduled_count = kept.scheduled_count + e.scheduled,
        transmitted_count = kept.transmitted_count + e.transmitted,
        delivered_count = kept.delivered_count + e.delivered,
        failed_count = kept.failed_count + e.failed,
        opened_count = kept.opened_count + e.opened,
        unique_opened_count = kept.unique_opened_count + e.unique_opened,
        clicked_count = kept.clicked_count + e.clicked,
        unique_clicked_count = kept.unique_clicked_count + e.unique_clicked,
        bounced_count = kept.bounced_count + e.bounced,
        unsubscribed_count = kept.unsubscribed_count + e.unsubscribed,
        complained_count = kept.complained_count + e.complained,
        first_at = least(kept.first_at, e.first_at),
        last_at = greatest(kept.last_at, e.last_at)
    FROM numbers AS e
    WHERE kept.community_id = $1 AND kept.id = e.sending_id
)
SELECT place FROM fresh
