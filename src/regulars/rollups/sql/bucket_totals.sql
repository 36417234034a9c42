-- Part of statements that verify rollups: totals by bucket of the granularities $2, each from the bucket $3 on (null:
-- all), by the clock of time zone $4.
--
-- `stored_buckets` has key, counted, granularity, bucket, stored and recomputed. `changes`, which have an instant instead
-- of a bucket, are what follows from the facts, and what is stored but not yet added to buckets.
granularities AS MATERIALIZED (
    SELECT granularity, coalesce(retention_start, '-infinity') AS retention_start
    FROM unnest($2::text[], $3::timestamptz[]) AS granularities (granularity, retention_start)
),
bucket_totals AS (
    SELECT
        key, counted, granularity, concat_ws(' ', counted, 'in the', granularity, 'from', bucket) AS name,
        sum(stored)::text AS stored, sum(recomputed)::text AS recomputed
    FROM (
        SELECT s.key, s.counted, s.granularity, g.retention_start, s.bucket, s.stored, s.recomputed
        FROM stored_buckets AS s
        JOIN granularities AS g ON g.granularity = s.granularity
        UNION ALL
        SELECT *
        FROM (
            SELECT
                c.key, c.counted, g.granularity, g.retention_start, bucket_start(c.at, g.granularity, $4) AS bucket,
                c.stored, c.recomputed
            FROM changes AS c
            CROSS JOIN granularities AS g
            OFFSET 0
        ) AS bucketed
    ) AS both_ways
    WHERE bucket >= retention_start
    GROUP BY key, counted, granularity, bucket
)
