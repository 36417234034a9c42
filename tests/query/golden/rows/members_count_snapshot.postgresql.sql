-- Rows of members_count_snapshot
-- Parameters: starts, community, ends, interval
SELECT optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, i, sum(sum(delta)) OVER (PARTITION BY optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, TRUE ORDER BY i DESC) AS members_count
    FROM (
        SELECT optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN count ELSE 0 END AS delta
        FROM (
            SELECT optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, sum(members_count) AS count
            FROM snapshot_counts
            WHERE community_id = CAST($2 AS INT)
            GROUP BY optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, community_id
        ) AS latest
        CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
        UNION ALL
        SELECT optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -delta
        FROM snapshot_rollups
        JOIN snapshot_counts USING (community_id, dimensions_hash)
        WHERE community_id = CAST($2 AS INT) AND granularity = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
    ) AS deltas
    GROUP BY optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, country, i
) AS levels
WHERE EXISTS (
    SELECT FROM snapshot_coverage
    WHERE community_id = CAST($2 AS INT)
        AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
);

-- Rows of members_count_snapshot
-- Parameters: starts, community, ends, interval
SELECT (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT i, sum(sum(delta)) OVER (PARTITION BY TRUE ORDER BY i DESC) AS members_count
    FROM (
        SELECT i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN count ELSE 0 END AS delta
        FROM (
            SELECT sum(members_count) AS count
            FROM snapshot_counts
            WHERE community_id = CAST($2 AS INT)
            GROUP BY community_id
        ) AS latest
        CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
        UNION ALL
        SELECT width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -delta
        FROM snapshot_rollups
        JOIN snapshot_counts USING (community_id, dimensions_hash)
        WHERE community_id = CAST($2 AS INT) AND granularity = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
    ) AS deltas
    GROUP BY i
) AS levels
WHERE EXISTS (
    SELECT FROM snapshot_coverage
    WHERE community_id = CAST($2 AS INT)
        AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
);

-- Rows of members_count_snapshot, added up by optin_channel
-- Parameters: starts, community, ends, interval
SELECT optin_channel, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT optin_channel, i, sum(sum(delta)) OVER (PARTITION BY optin_channel, TRUE ORDER BY i DESC) AS members_count
    FROM (
        SELECT optin_channel, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN count ELSE 0 END AS delta
        FROM (
            SELECT optin_channel, sum(members_count) AS count
            FROM snapshot_counts
            WHERE community_id = CAST($2 AS INT)
            GROUP BY optin_channel, community_id
        ) AS latest
        CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
        UNION ALL
        SELECT optin_channel, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -delta
        FROM snapshot_rollups
        JOIN snapshot_counts USING (community_id, dimensions_hash)
        WHERE community_id = CAST($2 AS INT) AND granularity = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
    ) AS deltas
    GROUP BY optin_channel, i
) AS levels
WHERE EXISTS (
    SELECT FROM snapshot_coverage
    WHERE community_id = CAST($2 AS INT)
        AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
);

-- Rows of members_count_snapshot, added up by consents
-- Parameters: starts, community, ends, interval
SELECT consents_true, consents_false, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT consents_true, consents_false, i, sum(sum(delta)) OVER (PARTITION BY consents_true, consents_false, TRUE ORDER BY i DESC) AS members_count
    FROM (
        SELECT consents_true, consents_false, i, CASE i WHEN cardinality(CAST($1 AS TIMESTAMPTZ[])::timestamptz[]) THEN count ELSE 0 END AS delta
        FROM (
            SELECT consents_true, consents_false, sum(members_count) AS count
            FROM snapshot_counts
            WHERE community_id = CAST($2 AS INT)
            GROUP BY consents_true, consents_false, community_id
        ) AS latest
        CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
        UNION ALL
        SELECT consents_true, consents_false, width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[]), -delta
        FROM snapshot_rollups
        JOIN snapshot_counts USING (community_id, dimensions_hash)
        WHERE community_id = CAST($2 AS INT) AND granularity = CAST($4 AS TEXT) AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1]
    ) AS deltas
    GROUP BY consents_true, consents_false, i
) AS levels
WHERE EXISTS (
    SELECT FROM snapshot_coverage
    WHERE community_id = CAST($2 AS INT)
        AND first_at < (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[i] AND last_at >= (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i]
);

