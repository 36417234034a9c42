-- From the tables that bulk/ prepares: asked (k, profile, profile_id, as_of and the bounds of the windows), club,
-- and facts with a profile's number in place of its id; money in minor units, instants in UTC, no void ones.
WITH locations AS (
    SELECT location_id, external_id, country, iso_state, state
    FROM fact_locations
),
ahead AS (
    SELECT asked.k, min(told.transacted_at) AS falls_due_at
    FROM asked
    JOIN fact_transactions AS told ON told.profile = asked.profile AND told.transacted_at > asked.as_of
    GROUP BY asked.k
),
member AS (
    SELECT asked.k, asked.profile_id, asked.as_of,
           club.zone, club.currency, club.values_epoch,
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
    SELECT asked.k, told.transacted_at, told.external_id, told.id,
           told.amount, told.shop_date, told.location_id, told.channels, told.discount, told.list_value,
           told.sign = 1 AS is_sale,
           told.sign <> 0 AS moves,
           told.transacted_at > asked.before_12m
               AND (told.transacted_at > asked.after_12m OR asked.as_of < told.transacted_at + INTERVAL '12 months')
               AS within_12m,
           told.transacted_at > asked.before_24m
               AND (told.transacted_at > asked.after_24m OR asked.as_of < told.transacted_at + INTERVAL '24 months')
               AS within_24m
    FROM asked
    JOIN fact_transactions AS told ON told.profile = asked.profile AND told.transacted_at <= asked.as_of
),
sold AS (
    SELECT DISTINCT asked.k, line.brand
    FROM asked
    JOIN fact_lines AS line ON line.profile = asked.profile AND line.transacted_at <= asked.as_of
),
addresses AS (
    SELECT asked.k, own.is_default, own.country, own.iso_state, own.state
    FROM asked
    JOIN fact_addresses AS own ON own.profile = asked.profile
)
SELECT 1 AS nothing
