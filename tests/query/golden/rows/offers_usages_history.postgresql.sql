-- Rows of offers_usages_history
-- Parameters: community, interval, starts, ends
SELECT
    k.bucket, o.id AS offer_id, o.collection_ids, o.campaign_id, o.type, k.event_type AS event, k.count,
    CASE k.location_id WHEN 0 THEN o.location_id ELSE k.location_id END AS store_id
FROM offers AS o
CROSS JOIN LATERAL (
    SELECT k.bucket, k.event_type, k.location_id, k.count
    FROM offer_rollups AS k
    WHERE k.offer_id = o.id AND k.event_type IN ('granted', 'used')
      AND k.community_id = CAST($1 AS INT) AND k.granularity = CAST($2 AS TEXT)
  AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
  AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
  AND k.count <> 0
    OFFSET 0
) AS k
WHERE o.community_id = CAST($1 AS INT) AND NOT o.is_placeholder
  AND o.first_event_at < (SELECT max(ends) FROM unnest(CAST($4 AS TIMESTAMPTZ[])) AS ending (ends))
  AND o.last_event_at >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start));

