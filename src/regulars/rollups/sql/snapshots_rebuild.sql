-- The rollups of snapshots of community $1, from what was counted in them; by the clock of zone $2, into granularities $3, of
-- each from the bucket in $4 on (null: all). There are none before.
INSERT INTO snapshot_rollups (community_id, granularity, bucket, alike, n)
SELECT $1, granularity, bucket, alike, sum(n)
FROM (
    SELECT granularity, retention_start, alike, n, bucket_start(at, granularity, $2) AS bucket
    FROM (
        SELECT alike, since AS at, 1 AS n FROM snapshot_members WHERE community_id = $1
        UNION ALL
        SELECT alike, until, -1 FROM snapshot_members WHERE community_id = $1 AND until < 'infinity'
    ) AS edges
    CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS granularities (granularity, retention_start)
    OFFSET 0
) AS bucketed
WHERE retention_start IS NULL OR bucket >= retention_start
GROUP BY granularity, bucket, alike
HAVING sum(n) <> 0
