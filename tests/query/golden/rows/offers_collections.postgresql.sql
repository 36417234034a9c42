-- Rows of offers_collections
-- Parameters: community
SELECT
    c.id, c.external_id, c.name, c.created_at, coalesce(own.offers_count, 0) AS offers_count,
    coalesce(own.grants_count, 0) AS grants_count, coalesce(own.uses_count, 0) AS uses_count, coalesce(own.seen_count, 0) AS seen_count, coalesce(own.clicked_count, 0) AS clicked_count
FROM offer_collections AS c
LEFT JOIN (
    SELECT
        collection_id, count(*) AS offers_count,
        sum(granted_count) AS grants_count, sum(used_count) AS uses_count, sum(seen_count) AS seen_count, sum(clicked_count) AS clicked_count
    FROM (
        SELECT unnest(collection_ids) AS collection_id, granted_count, used_count, seen_count, clicked_count
        FROM offers
        WHERE community_id = CAST($1 AS INT) AND NOT is_placeholder
    ) AS listed
    GROUP BY collection_id
) AS own ON own.collection_id = c.id
WHERE c.community_id = CAST($1 AS INT);

