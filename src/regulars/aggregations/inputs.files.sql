-- From the tables that bulk/ prepares: asked (k, profile, profile_id, as_of), asked_transactions and asked_lines (the
-- facts of each k up to its instant), ahead (of each k, the first transaction after it), club, and facts with a
-- profile's number in place of its id; money in minor units, instants in UTC, no void ones.
WITH locations AS (
    SELECT location_id, external_id, country, iso_state, state,
           row_number() OVER (ORDER BY external_id DESC NULLS FIRST, location_id DESC) AS backwards
    FROM fact_locations
),
member AS (
    SELECT asked.k, asked.profile_id, asked.as_of,
           club.zone, club.currency, club.values_version,
           own.joined_at, own.joined_location_id, own.preferred_location_id,
           local_date(own.joined_at, club.zone) AS joined_on,
           local_date(asked.as_of, club.zone) AS today,
           ahead.falls_due_at
    FROM asked
    CROSS JOIN club
    JOIN fact_profiles AS own ON own.profile = asked.profile
    LEFT JOIN ahead ON ahead.k = asked.k
),
history AS (
    SELECT k, n, transacted_at, external_id, id,
           amount, transacted_on, location_id, channels, discount, list_value,
           direction = 1 AS is_sale,
           direction <> 0 AS moves,
           transacted_at > before_12m
               AND (transacted_at > after_12m OR as_of < transacted_at + INTERVAL '12 months') AS within_12m,
           transacted_at > before_24m
               AND (transacted_at > after_24m OR as_of < transacted_at + INTERVAL '24 months') AS within_24m
    FROM asked_transactions
),
sold AS (
    SELECT k, brand
    FROM asked_lines
),
addresses AS (
    SELECT asked.k, own.is_default, own.country, own.iso_state, own.state
    FROM asked
    JOIN fact_addresses AS own ON own.profile = asked.profile
)
SELECT 1 AS nothing
