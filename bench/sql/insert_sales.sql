-- A sale of now for each of the profiles $2, so that their values move.
INSERT INTO transactions (
    community_id, id, external_id, profile_id, transacted_at, timezone, total, location_id, systems,
    created_at, updated_at, amount, direction, transacted_on, channels, discount, list_value, item_product_ids
)
SELECT $1, next_id(), NULL, profile_id, now(), 'Europe/Oslo', 100, 7, ARRAY['pos'],
       now(), now(), 10000, 1, (now() AT TIME ZONE 'Europe/Oslo')::date, 1, 0, 100, ARRAY[7]
FROM unnest($2::uuid[]) AS profile_id
