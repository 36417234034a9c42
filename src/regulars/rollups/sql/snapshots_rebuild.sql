-- The rollups of snapshots of community $1, from what was counted in them; by the clock of zone $2, into steps $3, of
-- each from the bucket in $4 on (null: all). There are none before.
INSERT INTO snapshot_rollups (community_id, step, bucket, alike, n)
SELECT $1, step, bucket, alike, sum(n)
FROM (
    SELECT step, first_kept, alike, n, bucket_start(at, step, $2) AS bucket
    FROM (
        SELECT alike, since AS at, 1 AS n FROM snapshot_members WHERE community_id = $1
        UNION ALL
        SELECT alike, until, -1 FROM snapshot_members WHERE community_id = $1 AND until < 'infinity'
    ) AS edges
    CROSS JOIN unnest($3::text[], $4::timestamptz[]) AS steps (step, first_kept)
    OFFSET 0
) AS bucketed
WHERE first_kept IS NULL OR bucket >= first_kept
GROUP BY step, bucket, alike
HAVING sum(n) <> 0
