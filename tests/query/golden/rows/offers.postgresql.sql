-- Rows of offers
-- Parameters: community
SELECT
    id, name, type, status, collection_ids, location_id AS store_id, campaign_id, usable_since, usable_until, stock,
    granted_count AS grants_count, used_count AS uses_count, seen_count AS seen_count, clicked_count AS clicked_count, external_id, created_at
FROM offers
WHERE community_id = CAST($1 AS INT) AND NOT is_placeholder;

