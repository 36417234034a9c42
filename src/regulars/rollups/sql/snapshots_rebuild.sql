-- Builds the rollups of the snapshots of community $1 from the members that were counted in them, by the clock of time
-- zone $2: of the granularities $3, each from the bucket $4 on (null: all). There must be none.
INSERT INTO snapshot_rollups (community_id, granularity, bucket, dimensions_hash, delta)
SELECT $1, granularity, bucket, dimensions_hash, sum(delta)
FROM (
    SELECT granularity, retention_start, dimensions_hash, delta, bucket_start(at, granularity, $2) AS bucket
    FROM (
        SELECT dimensions_hash, valid_from AS at, 1 AS delta FROM snapshot_members WHERE community_id = $1
        UNION ALL
        SELECT dimensions_hash, valid_to, -1 FROM snapshot_members WHERE community_id = $1 AND valid_to < 'infinity'
    ) AS edges
    CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS granularities (granularity, retention_start)
    OFFSET 0
) AS bucketed
WHERE retention_start IS NULL OR bucket >= retention_start
GROUP BY granularity, bucket, dimensions_hash
HAVING sum(delta) <> 0
