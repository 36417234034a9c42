-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    sum(r.members_count) AS "members_count"
FROM (
    SELECT (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT i, sum(sum(n)) OVER (PARTITION BY TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1;

-- total: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    sum(r.members_count) AS "members_count"
FROM (
    SELECT (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT i, sum(sum(n)) OVER (PARTITION BY TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1;

-- community_id: community, starts, ends, interval
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT (CAST($2 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT i, sum(sum(n)) OVER (PARTITION BY TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT i, CASE i WHEN cardinality(CAST($2 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($1 AS INT)
                GROUP BY community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($2 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($1 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($1 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($2 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1;

-- optin_channel: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    r.optin_channel AS "optin_channel",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT optin_channel, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT optin_channel, i, sum(sum(n)) OVER (PARTITION BY optin_channel, TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT optin_channel, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT optin_channel, sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY optin_channel, community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT optin_channel, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY optin_channel, i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1, 2;

-- optin_subchannel: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    r.optin_subchannel AS "optin_subchannel",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT optin_subchannel, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT optin_subchannel, i, sum(sum(n)) OVER (PARTITION BY optin_subchannel, TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT optin_subchannel, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT optin_subchannel, sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY optin_subchannel, community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT optin_subchannel, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY optin_subchannel, i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1, 2;

-- optin_platform: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    r.optin_platform AS "optin_platform",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT optin_platform, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT optin_platform, i, sum(sum(n)) OVER (PARTITION BY optin_platform, TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT optin_platform, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT optin_platform, sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY optin_platform, community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT optin_platform, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY optin_platform, i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1, 2;

-- gender: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    r.gender AS "gender",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT gender, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT gender, i, sum(sum(n)) OVER (PARTITION BY gender, TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT gender, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT gender, sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY gender, community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT gender, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY gender, i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1, 2;

-- age: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    r.age AS "age",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT age, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT age, i, sum(sum(n)) OVER (PARTITION BY age, TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT age, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT age, sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY age, community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT age, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY age, i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1, 2;

-- consents: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    r.element_1 AS "consent",
    r.element_1 = ANY (r.consents_true) AS "status",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT r.*, unnest(r.consents_true || r.consents_false) AS element_1
    FROM (
        SELECT consents_true, consents_false, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
        FROM (
            SELECT consents_true, consents_false, i, sum(sum(n)) OVER (PARTITION BY consents_true, consents_false, TRUE ORDER BY i DESC) AS members_count
            FROM (
                SELECT consents_true, consents_false, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
                FROM (
                    SELECT consents_true, consents_false, sum(members_count) AS n
                    FROM snapshot_counts
                    WHERE community_id = CAST($2 AS INT)
                    GROUP BY consents_true, consents_false, community_id
                ) AS latest
                CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
                UNION ALL
                SELECT consents_true, consents_false, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
                FROM snapshot_rollups
                JOIN snapshot_counts USING (community_id, alike)
                WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
            ) AS moves
            GROUP BY consents_true, consents_false, i
        ) AS levels
        WHERE EXISTS (
            SELECT FROM snapshot_runs
            WHERE community_id = CAST($2 AS INT)
                AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
        )
    ) AS r
) AS r
GROUP BY 1, 2, 3;

-- country: starts, community, ends, interval
SELECT
    r.bucket AS bucket,
    r.country AS "country",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT country, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT country, i, sum(sum(n)) OVER (PARTITION BY country, TRUE ORDER BY i DESC) AS members_count
        FROM (
            SELECT country, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN n ELSE 0 END AS n
            FROM (
                SELECT country, sum(members_count) AS n
                FROM snapshot_counts
                WHERE community_id = CAST($2 AS INT)
                GROUP BY country, community_id
            ) AS latest
            CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
            UNION ALL
            SELECT country, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -n
            FROM snapshot_rollups
            JOIN snapshot_counts USING (community_id, alike)
            WHERE community_id = CAST($2 AS INT) AND step = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS moves
        GROUP BY country, i
    ) AS levels
    WHERE EXISTS (
        SELECT FROM snapshot_runs
        WHERE community_id = CAST($2 AS INT)
            AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
    )
) AS r
GROUP BY 1, 2;
