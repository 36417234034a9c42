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
    r.at AS "at",
    r.marks AS "marks",
    r.tags AS "tags",
    r.consents_true,
    r.consents_false,
    r.properties AS "properties",
    coalesce(r.name, '-') AS "note"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
ORDER BY
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END NULLS FIRST,
    r.size COLLATE "C" NULLS FIRST,
    r.name COLLATE "C" NULLS FIRST,
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
    r.at AS "at",
    r.marks AS "marks",
    r.tags AS "tags",
    r.consents_true,
    r.consents_false,
    r.properties AS "properties",
    coalesce(r.name, '-') AS "note"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
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
    r.at AS "at",
    r.marks AS "marks",
    r.tags AS "tags",
    r.consents_true,
    r.consents_false,
    r.properties AS "properties",
    coalesce(r.name, '-') AS "note"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
WHERE CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END > CAST($3 AS INT)
OR (
    CASE WHEN r.size IS NULL THEN -1 ELSE CASE r.size WHEN 'small' THEN 0 WHEN 'large' THEN 1 ELSE 2 END END = CAST($3 AS INT)
    AND (
        r.size COLLATE "C" IS NOT NULL
        OR (
            r.size COLLATE "C" IS NULL
            AND (
                r.name COLLATE "C" IS NOT NULL
                OR (
                    r.name COLLATE "C" IS NULL
                    AND r.id IS NOT NULL
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
LIMIT CAST($4 AS BIGINT);

-- by_size_and_mark: community
SELECT
    r.size AS "size",
    r.element_2 AS "mark",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.marks) > 0 THEN r.marks ELSE array_append(r.marks, NULL) END) AS element_2
    FROM (
        SELECT t.*
        FROM profiles AS p
        CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
            id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
            day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
            properties jsonb
        )
        WHERE p.community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1, 2;

-- by_community_id: community
SELECT
    CAST($1 AS INT) AS "community_id",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
HAVING count(*) > 0;

-- by_loyalty_club_id: club, community
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($2 AS INT)
) AS r
HAVING count(*) > 0;

-- by_name: community
SELECT
    r.name AS "name",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_size: community
SELECT
    r.size AS "size",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_points: community
SELECT
    r.points AS "points",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_is_good: community
SELECT
    r.is_good AS "is_good",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_day: community
SELECT
    r.day AS "day",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- by_marks: community
SELECT
    r.element_1 AS "mark",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.marks) > 0 THEN r.marks ELSE array_append(r.marks, NULL) END) AS element_1
    FROM (
        SELECT t.*
        FROM profiles AS p
        CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
            id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
            day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
            properties jsonb
        )
        WHERE p.community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1;

-- by_tags: community
SELECT
    r.element_1 AS "tag",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.tags) > 0 THEN r.tags ELSE array_append(r.tags, NULL) END) AS element_1
    FROM (
        SELECT t.*
        FROM profiles AS p
        CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
            id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
            day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
            properties jsonb
        )
        WHERE p.community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1;

-- by_consents: community
SELECT
    r.element_1 AS "consent",
    r.element_1 = ANY (r.consents_true) AS "status",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT r.*, unnest(r.consents_true || r.consents_false) AS element_1
    FROM (
        SELECT t.*
        FROM profiles AS p
        CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
            id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
            day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
            properties jsonb
        )
        WHERE p.community_id = CAST($1 AS INT)
    ) AS r
) AS r
GROUP BY 1, 2;

-- by_is_many: community
SELECT
    r.points > 2 AS "is_many",
    count(*) AS "count",
    sum(r.spent) AS "spent_total"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;
