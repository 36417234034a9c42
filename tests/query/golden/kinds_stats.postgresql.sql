-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, from, to
SELECT
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
HAVING count(*) > 0;

-- community_id: community, from, to
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
HAVING count(*) > 0;

-- loyalty_club_id: club, community, from, to
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
      AND p.created_at >= CAST($3 AS TIMESTAMPTZ) AND p.created_at < CAST($4 AS TIMESTAMPTZ)
) AS r
HAVING count(*) > 0;

-- name: community, from, to
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
GROUP BY 1;

-- size: community, from, to
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
GROUP BY 1;

-- points: community, from, to
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
GROUP BY 1;

-- is_good: community, from, to
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
GROUP BY 1;

-- day: community, from, to
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
GROUP BY 1;

-- marks: community, from, to
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
          AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
    ) AS r
) AS r
GROUP BY 1;

-- tags: community, from, to
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
          AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
    ) AS r
) AS r
GROUP BY 1;

-- consents: community, from, to
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
          AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
    ) AS r
) AS r
GROUP BY 1, 2;

-- is_many: community, from, to
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
GROUP BY 1;

-- total: community, from, to
SELECT
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
      AND p.created_at >= CAST($2 AS TIMESTAMPTZ) AND p.created_at < CAST($3 AS TIMESTAMPTZ)
) AS r
HAVING count(*) > 0;
