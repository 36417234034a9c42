-- Deletes the dispatches to profiles $2 of community $1 with their events, and subtracts them from everything that is
-- counted of sendings: from rollups of the granularities $3, each from the bucket $4 on. Only superseded dispatches if
-- their ids $5 are not null: the recipient of each still counts, by an earlier one. Returns the sendings. An earlier
-- statement locked them.
WITH
-- include: counted_types
-- include: community
deleted_dispatches AS MATERIALIZED (
    DELETE FROM sending_dispatches
    WHERE community_id = $1 AND profile_id = ANY ($2) AND ($5::bigint[] IS NULL OR id = ANY ($5))
    RETURNING id, sending_id, profile_id, transmitted_at, event_mask, gender, age, optin_platform, country
),
deleted_events AS MATERIALIZED (
    DELETE FROM sending_events
    WHERE community_id = $1 AND dispatch_id = ANY (ARRAY(SELECT id FROM deleted_dispatches))
    RETURNING dispatch_id, sending_id, event_type, occurred_at
),
updated_daily_uniques AS (
    UPDATE sending_daily_uniques AS stored
    SET count = stored.count - deleted.count
    FROM (
        SELECT sending_id, event_type, day, previous_day, count(*) AS count
        FROM (
            SELECT
                e.sending_id, types.event_type, utc_day(e.occurred_at) AS day,
                coalesce(
                    lag(utc_day(e.occurred_at))
                        OVER (PARTITION BY e.dispatch_id, types.event_type ORDER BY e.occurred_at),
                    '-infinity'
                ) AS previous_day
            FROM deleted_events AS e
            JOIN counted_types AS types ON (1 | (1 << e.event_type)) & types.mask <> 0
        ) AS by_day
        GROUP BY sending_id, event_type, day, previous_day
    ) AS deleted
    WHERE stored.community_id = $1 AND stored.sending_id = deleted.sending_id
      AND stored.event_type = deleted.event_type AND stored.day = deleted.day
      AND stored.previous_day = deleted.previous_day
),
-- The first transmission to each recipient in each sending.
deleted_recipients AS MATERIALIZED (
    SELECT DISTINCT ON (sending_id, profile_id)
        sending_id, gender, age, optin_platform, country,
        CAST(md5(CAST(ROW(gender, age, optin_platform, country) AS text)) AS uuid) AS dimensions_hash,
        transmitted_at
    FROM deleted_dispatches
    WHERE transmitted_at IS NOT NULL AND $5 IS NULL
    ORDER BY sending_id, profile_id, transmitted_at, id
),
event_deltas AS MATERIALIZED (
    SELECT sending_id, bucket, event_type, count(*) AS delta
    FROM (
        SELECT sending_id, event_type, bucket_start(occurred_at, '5m', community.timezone) AS bucket
        FROM deleted_events
        CROSS JOIN community
        OFFSET 0
    ) AS bucketed
    GROUP BY sending_id, bucket, event_type
),
recipient_deltas AS MATERIALIZED (
    SELECT sending_id, bucket, dimensions_hash, count(*) AS delta
    FROM (
        SELECT sending_id, dimensions_hash, bucket_start(transmitted_at, '5m', community.timezone) AS bucket
        FROM deleted_recipients
        CROSS JOIN community
        OFFSET 0
    ) AS bucketed
    GROUP BY sending_id, bucket, dimensions_hash
),
-- include: buckets
updated_event_rollups AS (
    UPDATE sending_rollups AS stored
    SET count = stored.count - deltas.count
    FROM (
        SELECT
            b.granularity, d.sending_id, b.bucket, sending_event_name(d.event_type) AS event_type, sum(d.delta) AS count
        FROM event_deltas AS d
        JOIN buckets AS b ON b.base_bucket = d.bucket
        GROUP BY b.granularity, d.sending_id, b.bucket, d.event_type
    ) AS deltas
    WHERE stored.community_id = $1 AND stored.granularity = deltas.granularity
      AND stored.sending_id = deltas.sending_id AND stored.bucket = deltas.bucket
      AND stored.event_type = deltas.event_type
),
updated_recipient_rollups AS (
    UPDATE recipient_rollups AS stored
    SET count = stored.count - deltas.count
    FROM (
        SELECT b.granularity, d.sending_id, b.bucket, d.dimensions_hash, sum(d.delta) AS count
        FROM recipient_deltas AS d
        JOIN buckets AS b ON b.base_bucket = d.bucket
        GROUP BY b.granularity, d.sending_id, b.bucket, d.dimensions_hash
    ) AS deltas
    WHERE stored.community_id = $1 AND stored.granularity = deltas.granularity
      AND stored.sending_id = deltas.sending_id AND stored.bucket = deltas.bucket
      AND stored.dimensions_hash = deltas.dimensions_hash
),
dispatch_counts AS (
    SELECT
        sending_id, count(*) AS dispatches, count(DISTINCT profile_id) FILTER (WHERE $5 IS NULL) AS members,
        count(*) FILTER (WHERE event_mask = 2) AS new,
        -- include: unique_counts
    FROM deleted_dispatches
    GROUP BY sending_id
),
event_counts AS (
    SELECT
        sending_id,
        -- include: event_counts
    FROM deleted_events
    GROUP BY sending_id
),
updated_sendings AS (
    UPDATE sendings AS stored
    SET
        -- include: subtract_counters
    FROM (SELECT * FROM dispatch_counts JOIN event_counts USING (sending_id)) AS deltas
    WHERE stored.community_id = $1 AND stored.id = deltas.sending_id
),
SELECT DISTINCT sending_id FROM deleted_dispatches
