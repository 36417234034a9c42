-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.size AS "size",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1, 2;

-- community_id: community, starts, ends
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($2 AS TIMESTAMPTZ[]), CAST($3 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($1 AS INT)
) AS r
GROUP BY 1;

-- loyalty_club_id: club, starts, ends, community
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "loyalty_club_id",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($2 AS TIMESTAMPTZ[]), CAST($3 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($4 AS INT)
) AS r
GROUP BY 1;

-- name: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.name AS "name",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1, 2;

-- size: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.size AS "size",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1, 2;

-- points: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.points AS "points",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1, 2;

-- is_good: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.is_good AS "is_good",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1, 2;

-- day: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.day AS "day",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1, 2;

-- marks: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.element_1 AS "mark",
    count(*) AS "count"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.marks) > 0 THEN r.marks ELSE array_append(r.marks, NULL) END) AS element_1
    FROM (
        SELECT b.bucket, t.*
        FROM profiles AS p
        CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
            id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
            day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
            properties jsonb
        )
        JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
        WHERE p.community_id = CAST($3 AS INT)
    ) AS r
) AS r
GROUP BY 1, 2;

-- tags: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.element_1 AS "tag",
    count(*) AS "count"
FROM (
    SELECT r.*, unnest(CASE WHEN cardinality(r.tags) > 0 THEN r.tags ELSE array_append(r.tags, NULL) END) AS element_1
    FROM (
        SELECT b.bucket, t.*
        FROM profiles AS p
        CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
            id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
            day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
            properties jsonb
        )
        JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
        WHERE p.community_id = CAST($3 AS INT)
    ) AS r
) AS r
GROUP BY 1, 2;

-- consents: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.element_1 AS "consent",
    r.element_1 = ANY (r.consents_true) AS "status",
    count(*) AS "count"
FROM (
    SELECT r.*, unnest(r.consents_true || r.consents_false) AS element_1
    FROM (
        SELECT b.bucket, t.*
        FROM profiles AS p
        CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
            id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
            day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
            properties jsonb
        )
        JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
        WHERE p.community_id = CAST($3 AS INT)
    ) AS r
) AS r
GROUP BY 1, 2, 3;

-- is_many: starts, ends, community
SELECT
    r.bucket AS bucket,
    r.points > 2 AS "is_many",
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1, 2;

-- total: starts, ends, community
SELECT
    r.bucket AS bucket,
    count(*) AS "count"
FROM (
    SELECT b.bucket, t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
    WHERE p.community_id = CAST($3 AS INT)
) AS r
GROUP BY 1;
