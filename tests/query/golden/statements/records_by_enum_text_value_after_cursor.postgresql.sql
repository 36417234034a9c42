-- records by enum text value after cursor, as in samples
-- Parameters: community, club, rank1, c1, c2, c3, limit
SELECT
    CAST($1 AS INT) AS "community_id",
    CAST($2 AS INT) AS "loyalty_club_id",
    r.id AS "id",
    r.name AS "name",
    r.size AS "size",
    r.points AS "points",
    r.score AS "score",
    r.spent AS "spent",
    r.share AS "share",
    r.is_good AS "is_good",
    r.day AS "day",
    r.at AS "at",
    r.marks AS "marks",
    r.tags AS "tags",
    r.consents_true,
    r.consents_false,
    r.properties AS "properties",
    coalesce(r.name, '-') AS "note"
FROM (
    TABLE rows
) AS r
WHERE CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END > CAST($3 AS INT)
OR (
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END = CAST($3 AS INT)
    AND (
        r.size COLLATE "C" > CAST($4 AS TEXT)
        OR (
            r.size COLLATE "C" = CAST($4 AS TEXT)
            AND (
                r.name COLLATE "C" > CAST($5 AS TEXT)
                OR (
                    r.name COLLATE "C" = CAST($5 AS TEXT)
                    AND r.id > CAST($6 AS BIGINT)
                )
            )
        )
    )
)
ORDER BY
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END NULLS FIRST,
    r.size COLLATE "C" NULLS FIRST,
    r.name COLLATE "C" NULLS FIRST,
    r.id NULLS FIRST
LIMIT CAST($7 AS BIGINT);

