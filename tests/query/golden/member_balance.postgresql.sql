-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = ''
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type
    HAVING sum(n) <> 0
) AS r
GROUP BY 1, 2;

-- community_id: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    r.type AS "type",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = ''
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type
    HAVING sum(n) <> 0
) AS r
GROUP BY 1, 3;

-- optin_channel: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    r.optin_channel AS "optin_channel",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, optin_channel, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, optin_channel, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = 'optin_channel'
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, optin_channel, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type, optin_channel
    HAVING sum(n) <> 0
) AS r
GROUP BY 1, 2, 3;

-- optin_subchannel: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    r.optin_subchannel AS "optin_subchannel",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, optin_subchannel, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, optin_subchannel, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = 'optin_subchannel'
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, optin_subchannel, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type, optin_subchannel
    HAVING sum(n) <> 0
) AS r
GROUP BY 1, 2, 3;

-- optin_platform: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    r.optin_platform AS "optin_platform",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, optin_platform, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, optin_platform, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = 'optin_platform'
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, optin_platform, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type, optin_platform
    HAVING sum(n) <> 0
) AS r
GROUP BY 1, 2, 3;

-- gender: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    r.gender AS "gender",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, gender, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, gender, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = 'gender'
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, gender, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type, gender
    HAVING sum(n) <> 0
) AS r
GROUP BY 1, 2, 3;

-- age: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    r.age AS "age",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, age, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, age, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = 'age'
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, age, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type, age
    HAVING sum(n) <> 0
) AS r
GROUP BY 1, 2, 3;

-- consents: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    r.type AS "type",
    r.element_2 AS "consent",
    r.element_2 = ANY (r.consents_true) AS "status",
    CAST(sum(r.n) AS bigint) AS "members_count"
FROM (
    SELECT r.*, unnest(r.consents_true || r.consents_false) AS element_2
    FROM (
        SELECT bucket, type, consents_true, consents_false, CAST(sum(n) AS bigint) AS n
        FROM (
            SELECT bucket, type, consents_true, consents_false, n
            FROM balance_rollups
            WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = 'consents'
                AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            UNION ALL
            SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, consents_true, consents_false, n
            FROM balance_deltas
            WHERE community_id = CAST($1 AS INT)
                AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
                AND transaction_id >= coalesce(
                        (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                    )
        ) AS moves
        GROUP BY bucket, type, consents_true, consents_false
        HAVING sum(n) <> 0
    ) AS r
) AS r
GROUP BY 1, 2, 3, 4;

-- total: community, interval, starts, ends
SELECT
    r.bucket AS bucket,
    CAST(sum(CASE r.type WHEN 'in' THEN r.n ELSE -r.n END) AS bigint) AS "members_count"
FROM (
    SELECT bucket, type, CAST(sum(n) AS bigint) AS n
    FROM (
        SELECT bucket, type, n
        FROM balance_rollups
        WHERE community_id = CAST($1 AS INT) AND step = CAST($2 AS TEXT) AND grain = ''
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        UNION ALL
        SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, n
        FROM balance_deltas
        WHERE community_id = CAST($1 AS INT)
            AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
    ) AS moves
    GROUP BY bucket, type
    HAVING sum(n) <> 0
) AS r
GROUP BY 1;
