-- records by enum text value, as in samples_in_duckdb
-- Parameters: community, club, limit
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
    r."at" AS "at",
    r.marks AS "marks",
    r.tags AS "tags",
    r.consents_true,
    r.consents_false,
    r.properties AS "properties",
    COALESCE(r.name, '-') AS "note"
FROM (
    SELECT
      *
    FROM rows
) AS r
ORDER BY
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END NULLS FIRST,
    r.size NULLS FIRST,
    r.name NULLS FIRST,
    r.id NULLS FIRST
LIMIT CAST($3 AS BIGINT);

