-- The dispatches that the events name, as stored; those without a row get an id.
dispatches AS MATERIALIZED (
    SELECT
        named.sending_id, named.dispatch_key_hash, d.id IS NULL AS is_new,
        coalesce(d.id, next_id()) AS dispatch_id, coalesce(d.event_mask, 0) AS event_mask,
        coalesce(d.active_days, '{}') AS active_days,
        d.profile_id, d.transmitted_at, d.gender, d.age, d.optin_platform, d.country
    FROM (SELECT sending_id, dispatch_key_hash FROM input GROUP BY sending_id, dispatch_key_hash) AS named
    LEFT JOIN LATERAL (
        SELECT id, event_mask, active_days, profile_id, transmitted_at, gender, age, optin_platform, country
        FROM sending_dispatches
        WHERE community_id = $1 AND sending_id = named.sending_id AND dispatch_key_hash = named.dispatch_key_hash
        OFFSET 0
    ) AS d ON TRUE
),
-- The events that are not stored yet, each once. `day` is the number of days since 2000.
new_events AS MATERIALIZED (
    SELECT DISTINCT ON (d.dispatch_id, i.event_key_hash)
        d.dispatch_id, d.sending_id, i.event_key_hash, i.event_type, i.occurred_at, i.profile_id, i.row_no,
        utc_day(i.occurred_at) - date '2000-01-01' AS day
    FROM input AS i
    JOIN dispatches AS d ON d.sending_id = i.sending_id AND d.dispatch_key_hash = i.dispatch_key_hash
    LEFT JOIN LATERAL (
        SELECT TRUE AS is_stored
        FROM sending_events
        WHERE NOT d.is_new AND community_id = $1 AND dispatch_id = d.dispatch_id AND event_key_hash = i.event_key_hash
        OFFSET 0
    ) AS stored ON TRUE
    WHERE stored.is_stored IS NULL
    ORDER BY d.dispatch_id, i.event_key_hash, i.row_no
),
inserted_events AS (
    INSERT INTO sending_events (dispatch_id, sending_id, occurred_at, event_key_hash, community_id, event_type)
    SELECT dispatch_id, sending_id, occurred_at, event_key_hash, $1, event_type
    FROM new_events
),
