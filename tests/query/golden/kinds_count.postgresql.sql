-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community
SELECT
    CAST($1 AS INT) AS "community_id",
    count(*) AS "count"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r;

-- by_community_id: community
SELECT
    CAST($1 AS INT) AS "community_id",
    count(*) AS "count"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($1 AS INT)
) AS r;

-- by_loyalty_club_id: club, community
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    count(*) AS "count"
FROM (
    SELECT t.*
    FROM profiles AS p
    CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
        id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
        day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
        properties jsonb
    )
    WHERE p.community_id = CAST($2 AS INT)
) AS r;

-- by_name: community
SELECT
    r.name AS "name",
    count(*) AS "count"
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
    count(*) AS "count"
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
    count(*) AS "count"
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
    count(*) AS "count"
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
    count(*) AS "count"
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
    count(*) AS "count"
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
    count(*) AS "count"
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
    count(*) AS "count"
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
    count(*) AS "count"
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
