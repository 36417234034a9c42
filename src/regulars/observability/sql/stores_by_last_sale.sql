-- The last sale of each store of community $1 as of $2, and the usual number of days between two days with sales: not
-- more than that in 19 of 20 cases since $3. Days are buckets of the rollups, which the compactor keeps within seconds;
-- sales of the last two days are read from the purchases themselves.
WITH days AS (
    SELECT CAST(dimension_value AS bigint) AS location, bucket
    FROM purchase_rollups
    WHERE community_id = $1 AND granularity = '1d' AND dimension = 'location' AND bucket >= $3 AND bucket <= $2
      AND dimension_value IS NOT NULL AND sales > 0
),
gaps AS (
    SELECT location, bucket, bucket - lag(bucket) OVER (PARTITION BY location ORDER BY bucket) AS gap
    FROM days
),
usual AS (
    SELECT location, count(*) AS days, max(bucket) AS last_day,
           round(extract(epoch FROM percentile_disc(0.95) WITHIN GROUP (ORDER BY gap)) / 86400) AS usual_days
    FROM gaps
    GROUP BY location
),
last_day_sales AS (
    SELECT p.location, max(p.purchased_at) AS at
    FROM (SELECT DISTINCT last_day FROM usual) AS each_day
    JOIN purchases AS p
      ON p.community_id = $1 AND p.purchased_at >= each_day.last_day
      AND p.purchased_at < each_day.last_day + interval '25 hours' AND p.purchased_at <= $2
    WHERE p.is_counted AND p.sales = 1
    GROUP BY p.location
),
recent_sales AS (
    SELECT location, max(purchased_at) AS at
    FROM purchases
    WHERE community_id = $1 AND purchased_at >= $2::timestamptz - interval '2 days' AND purchased_at <= $2
      AND is_counted AND sales = 1
    GROUP BY location
),
SELECT l.id, l.name, l.external_id, greatest(last_day_sales.at, recent_sales.at) AS last_sale_at,
       CAST(usual.usual_days AS int) AS usual_days, coalesce(usual.days, 0) AS days_with_sales
FROM locations AS l
LEFT JOIN usual ON usual.location = l.id
LEFT JOIN last_day_sales ON last_day_sales.location = l.id
LEFT JOIN recent_sales ON recent_sales.location = l.id
WHERE l.community_id = $1 AND l.deleted_at IS NULL
  AND (usual.location IS NOT NULL OR recent_sales.location IS NOT NULL OR l.is_permanently_closed IS NOT TRUE)
ORDER BY last_sale_at NULLS FIRST, l.id
