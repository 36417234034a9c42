-- Builds the rollups of the snapshots of community $1 from the members that were counted in them, by the clock of time
-- zone $2: of the granularities $3, each from the bucket $4 on (null: all). There must be none.
INSERT INTO snapshot_rollups (community_id, granularity, bucket, dimensions_hash, n)
SELECT $1, granularity, bucket, dimensions_hash, sum(n)
FROM (
    SELECT granularity, retention_start, dimensions_hash, n, bucket_start(at, granularity, $2) AS bucket
    FROM (
        SELECT dimensions_hash, since AS at, 1 AS n FROM snapshot_members WHERE community_id = $1
        UNION ALL
        SELECT dimensions_hash, until, -1 FROM snapshot_members WHERE community_id = $1 AND until < 'infinity'
    ) AS edges
    CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS granularities (granularity, retention_start)
    OFFSET 0
) AS bucketed
WHERE retention_start IS NULL OR bucket >= retention_start
GROUP BY granularity, bucket, dimensions_hash
HAVING sum(n) <> 0
