-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- records: community, club, limit
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
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
ORDER BY
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END NULLS FIRST,
    r.size NULLS FIRST,
    r.name NULLS FIRST,
    r.id NULLS FIRST
LIMIT CAST($3 AS BIGINT);

-- records behind a cursor: community, club, rank1, c1, c2, c3, limit
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
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
WHERE CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END > CAST($3 AS INT)
OR (
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END = CAST($3 AS INT)
    AND (
        r.size > CAST($4 AS TEXT)
        OR (
            r.size = CAST($4 AS TEXT)
            AND (
                r.name > CAST($5 AS TEXT)
                OR (
                    r.name = CAST($5 AS TEXT)
                    AND r.id > CAST($6 AS BIGINT)
                )
            )
        )
    )
)
ORDER BY
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END NULLS FIRST,
    r.size NULLS FIRST,
    r.name NULLS FIRST,
    r.id NULLS FIRST
LIMIT CAST($7 AS BIGINT);

-- records behind a cursor of nulls: community, club, rank1, limit
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
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
WHERE CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END > CAST($3 AS INT)
OR (
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END = CAST($3 AS INT)
    AND (
        r.size IS NOT NULL
        OR (
            r.size IS NULL
            AND (
                r.name IS NOT NULL
                OR (
                    r.name IS NULL
                    AND r.id IS NOT NULL
                )
            )
        )
    )
)
ORDER BY
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END NULLS FIRST,
    r.size NULLS FIRST,
    r.name NULLS FIRST,
    r.id NULLS FIRST
LIMIT CAST($4 AS BIGINT);

-- by_size_and_mark: community
SELECT
    r.size AS "size",
    r.element_2 AS "mark",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.marks) > 0 THEN r.marks ELSE [NULL] END) AS element_2
    FROM (
        SELECT
          *
        FROM things
        WHERE
          community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1, 2;

-- by_community_id: community
SELECT
    CAST($1 AS INT) AS "community_id",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
HAVING count(*) > 0;

-- by_loyalty_club_id: club, community
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($2 AS INT)
) AS r
HAVING count(*) > 0;

-- by_name: community
SELECT
    r.name AS "name",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_size: community
SELECT
    r.size AS "size",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_points: community
SELECT
    r.points AS "points",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_is_good: community
SELECT
    r.is_good AS "is_good",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_day: community
SELECT
    r.day AS "day",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_marks: community
SELECT
    r.element_1 AS "mark",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.marks) > 0 THEN r.marks ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM things
        WHERE
          community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1;

-- by_tags: community
SELECT
    r.element_1 AS "tag",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN len(r.tags) > 0 THEN r.tags ELSE [NULL] END) AS element_1
    FROM (
        SELECT
          *
        FROM things
        WHERE
          community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1;

-- by_consents: community
SELECT
    r.element_1 AS "consent",
    list_contains(r.consents_true, r.element_1) AS "status",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(list_concat(r.consents_true, r.consents_false)) AS element_1
    FROM (
        SELECT
          *
        FROM things
        WHERE
          community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1, 2;

-- by_is_many: community
SELECT
    r.points > 2 AS "is_many",
    COUNT(*) AS "count",
    SUM(r.spent) AS "spent_total"
FROM (
    SELECT
      *
    FROM things
    WHERE
      community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;
