-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, interval, starts
SELECT
    r.bucket AS bucket,
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1;

-- community_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1;

-- sending_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.sending_id AS "sending_id",
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;

-- reporting_id: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.reporting_id AS "reporting_id",
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;

-- gender: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.gender AS "gender",
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;

-- age: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.age AS "age",
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;

-- optin_platform: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.optin_platform AS "optin_platform",
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;

-- country: community, interval, starts
SELECT
    r.bucket AS bucket,
    r.country AS "country",
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1, 2;

-- total: community, interval, starts
SELECT
    r.bucket AS bucket,
    sum(r.n) AS "recipients_count"
FROM (
    SELECT k.bucket, k.sending_id, s.reporting_id, k.gender, k.age, k.optin_platform, k.country, k.n
    FROM sendings AS s
    JOIN recipient_rollups AS k ON k.sending_id = s.id
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND k.community_id = CAST($1 AS INT) AND k.step = CAST($2 AS TEXT)
      AND k.bucket >= (SELECT min(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.bucket <= (SELECT max(start) FROM unnest(CAST($3 AS TIMESTAMPTZ[])) AS begins (start))
      AND k.n <> 0
) AS r
GROUP BY 1;
