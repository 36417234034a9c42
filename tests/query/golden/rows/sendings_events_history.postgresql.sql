-- Rows of sendings_events_history
-- Parameters: community, interval, starts
SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event_type AS event, k.count
FROM sendings AS s
JOIN sending_rollups AS k ON k.sending_id = s.id
WHERE s.community_id = CAST($1 AS INT) AND NOT s.is_placeholder
  AND k.community_id = CAST($1 AS INT) AND k.granularity = CAST($2 AS TEXT)
  AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
  AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
  AND k.count <> 0;

