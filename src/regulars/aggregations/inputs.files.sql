-- Reads the relations that offline/ prepares: requested (k, profile, profile_id, as_of), requested_transactions and
-- requested_lines (the facts of each k up to its instant), future_transactions (the first transaction of each k after
-- its instant), club, and fact tables with the ordinal of a profile instead of its id. Money is in minor units,
-- timestamps are in UTC, void transactions are excluded.
WITH locations AS (
    SELECT location_id, external_id, country, iso_state, state,
           row_number() OVER (ORDER BY external_id DESC NULLS FIRST, location_id DESC) AS reverse_rank
    FROM fact_locations
),
member AS (
    SELECT requested.k, requested.profile_id, requested.as_of,
           club.zone, club.currency, club.values_version,
           fact.joined_at, fact.joined_location_id, fact.preferred_location_id,
           local_date(fact.joined_at, club.zone) AS joined_on,
           local_date(requested.as_of, club.zone) AS today,
           future_transactions.next_future_at
    FROM requested
    CROSS JOIN club
    JOIN fact_profiles AS fact ON fact.profile = requested.profile
    LEFT JOIN future_transactions ON future_transactions.k = requested.k
),
history AS (
    SELECT k, n, transacted_at, external_id, id,
           amount, transacted_on, opens_day, location_id, channels, discount, list_value,
           direction = 1 AS is_sale,
           direction <> 0 AS has_amount,
           within_12m,
           within_24m
    FROM requested_transactions
),
sold AS (
    SELECT k, brand
    FROM requested_lines
),
addresses AS (
    SELECT requested.k, fact.is_default, fact.country, fact.iso_state, fact.state
    FROM requested
    JOIN fact_addresses AS fact ON fact.profile = requested.profile
)
SELECT 1
