-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    sum(r.n) AS "events_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
    FROM sendings AS s
    JOIN sending_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;

-- community_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    r.event AS "event",
    sum(r.n) AS "events_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
    FROM sendings AS s
    JOIN sending_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 3;

-- sending_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.sending_id AS "sending_id",
    sum(r.n) AS "events_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
    FROM sendings AS s
    JOIN sending_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2, 3;

-- reporting_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.reporting_id AS "reporting_id",
    sum(r.n) AS "events_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
    FROM sendings AS s
    JOIN sending_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2, 3;

-- campaign_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.campaign_id AS "campaign_id",
    sum(r.n) AS "events_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
    FROM sendings AS s
    JOIN sending_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2, 3;

-- channel: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    r.channel AS "channel",
    sum(r.n) AS "events_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
    FROM sendings AS s
    JOIN sending_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2, 3;

-- event: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.event AS "event",
    sum(r.n) AS "events_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, s.campaign_id, s.channel, k.event, k.n
    FROM sendings AS s
    JOIN sending_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;
