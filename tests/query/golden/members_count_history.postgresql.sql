-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: starts, community, interval, now, ends
SELECT
    r.bucket AS bucket,
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT grouping_type, grouping_value, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT
            grouping_type, grouping_value, i, began,
            now.n - sum(coalesce(later.n, 0)) OVER (
                PARTITION BY grouping_type, grouping_value ORDER BY i DESC
            ) AS members_count
        FROM (
            SELECT
                grouping_type, grouping_value, sum(n) AS n,
                CASE WHEN min(month) < (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[1] - interval '32 days' THEN min(month) ELSE (
                    SELECT min(bucket)
                    FROM (
                        SELECT bucket
                        FROM (
                            SELECT bucket, n
                            FROM group_rollups
                            WHERE community_id = CAST($2 AS INT) AND step = CAST($3 AS TEXT)
                                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                            UNION ALL
                            SELECT bucket_start(bucket, CAST($3 AS TEXT), (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), n
                            FROM group_deltas
                            WHERE community_id = CAST($2 AS INT)
                                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                                AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
                        ) AS moves
                        WHERE bucket >= coalesce(CAST($4 AS TIMESTAMPTZ)::timestamptz - CASE CAST($3 AS TEXT) WHEN '5m' THEN interval '14 days' WHEN '1h' THEN interval '184 days' WHEN '1d' THEN interval '731 days' END, '-infinity')
                        GROUP BY bucket
                        HAVING sum(n) <> 0
                    ) AS moved
                ) END AS began
            FROM (
                SELECT grouping_type, grouping_value, members_count AS n, CAST(NULL AS timestamptz) AS month
                FROM group_counts
                WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
                UNION ALL
                SELECT grouping_type, grouping_value, n, CAST(NULL AS timestamptz)
                FROM group_deltas
                WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
                    AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
                UNION ALL
                SELECT grouping_type, grouping_value, 0, bucket
                FROM (
                    SELECT grouping_type, grouping_value, bucket, n
                    FROM group_rollups
                    WHERE community_id = CAST($2 AS INT) AND step = '1mo' AND grouping_type <> 'all'
                    UNION ALL
                    SELECT grouping_type, grouping_value, bucket_start(bucket, '1mo', (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), n
                    FROM group_deltas
                    WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
                        AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
                ) AS moves
                GROUP BY grouping_type, grouping_value, bucket
                HAVING sum(n) <> 0
            ) AS own
            GROUP BY grouping_type, grouping_value
        ) AS now
        CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
        LEFT JOIN (
            SELECT grouping_type, grouping_value, width_bucket(bucket, CAST($5 AS TIMESTAMPTZ[])::timestamptz[]) AS i, sum(n) AS n
            FROM (
                SELECT grouping_type, grouping_value, bucket, n
                FROM group_rollups
                WHERE community_id = CAST($2 AS INT) AND step = CAST($3 AS TEXT) AND grouping_type <> 'all'
                    AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
                UNION ALL
                SELECT grouping_type, grouping_value, bucket, n
                FROM group_deltas
                WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
                    AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
                    AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
            ) AS moves
            GROUP BY 1, 2, 3
        ) AS later USING (grouping_type, grouping_value, i)
    ) AS levels
    WHERE (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] <= CAST($4 AS TIMESTAMPTZ) AND (began < (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[i] OR members_count <> 0)
) AS r
GROUP BY 1, 2, 3;

-- community_id: community, starts, interval, now, ends
SELECT
    r.bucket AS bucket,
    CAST($1 AS INT) AS "community_id",
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT grouping_type, grouping_value, (CAST($2 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT
            grouping_type, grouping_value, i, began,
            now.n - sum(coalesce(later.n, 0)) OVER (
                PARTITION BY grouping_type, grouping_value ORDER BY i DESC
            ) AS members_count
        FROM (
            SELECT
                grouping_type, grouping_value, sum(n) AS n,
                CASE WHEN min(month) < (CAST($2 AS TIMESTAMPTZ[])::timestamptz[])[1] - interval '32 days' THEN min(month) ELSE (
                    SELECT min(bucket)
                    FROM (
                        SELECT bucket
                        FROM (
                            SELECT bucket, n
                            FROM group_rollups
                            WHERE community_id = CAST($1 AS INT) AND step = CAST($3 AS TEXT)
                                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                            UNION ALL
                            SELECT bucket_start(bucket, CAST($3 AS TEXT), (SELECT timezone FROM communities WHERE id = CAST($1 AS INT))), n
                            FROM group_deltas
                            WHERE community_id = CAST($1 AS INT)
                                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                                AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
                        ) AS moves
                        WHERE bucket >= coalesce(CAST($4 AS TIMESTAMPTZ)::timestamptz - CASE CAST($3 AS TEXT) WHEN '5m' THEN interval '14 days' WHEN '1h' THEN interval '184 days' WHEN '1d' THEN interval '731 days' END, '-infinity')
                        GROUP BY bucket
                        HAVING sum(n) <> 0
                    ) AS moved
                ) END AS began
            FROM (
                SELECT grouping_type, grouping_value, members_count AS n, CAST(NULL AS timestamptz) AS month
                FROM group_counts
                WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
                UNION ALL
                SELECT grouping_type, grouping_value, n, CAST(NULL AS timestamptz)
                FROM group_deltas
                WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
                    AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
                UNION ALL
                SELECT grouping_type, grouping_value, 0, bucket
                FROM (
                    SELECT grouping_type, grouping_value, bucket, n
                    FROM group_rollups
                    WHERE community_id = CAST($1 AS INT) AND step = '1mo' AND grouping_type <> 'all'
                    UNION ALL
                    SELECT grouping_type, grouping_value, bucket_start(bucket, '1mo', (SELECT timezone FROM communities WHERE id = CAST($1 AS INT))), n
                    FROM group_deltas
                    WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
                        AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
                ) AS moves
                GROUP BY grouping_type, grouping_value, bucket
                HAVING sum(n) <> 0
            ) AS own
            GROUP BY grouping_type, grouping_value
        ) AS now
        CROSS JOIN generate_subscripts(CAST($2 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
        LEFT JOIN (
            SELECT grouping_type, grouping_value, width_bucket(bucket, CAST($5 AS TIMESTAMPTZ[])::timestamptz[]) AS i, sum(n) AS n
            FROM (
                SELECT grouping_type, grouping_value, bucket, n
                FROM group_rollups
                WHERE community_id = CAST($1 AS INT) AND step = CAST($3 AS TEXT) AND grouping_type <> 'all'
                    AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
                UNION ALL
                SELECT grouping_type, grouping_value, bucket, n
                FROM group_deltas
                WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
                    AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
                    AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
            ) AS moves
            GROUP BY 1, 2, 3
        ) AS later USING (grouping_type, grouping_value, i)
    ) AS levels
    WHERE (CAST($2 AS TIMESTAMPTZ[])::timestamptz[])[i] <= CAST($4 AS TIMESTAMPTZ) AND (began < (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[i] OR members_count <> 0)
) AS r
GROUP BY 1, 3, 4;

-- total: starts, community, interval, now, ends
SELECT
    r.bucket AS bucket,
    sum(r.members_count) AS "members_count"
FROM (
    SELECT  (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
    FROM (
        SELECT
            grouping_type, grouping_value, i, began,
            now.n - sum(coalesce(later.n, 0)) OVER (
                PARTITION BY grouping_type, grouping_value ORDER BY i DESC
            ) AS members_count
        FROM (
            SELECT
                grouping_type, grouping_value, sum(n) AS n,
                CASE WHEN min(month) < (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[1] - interval '32 days' THEN min(month) ELSE (
                    SELECT min(bucket)
                    FROM (
                        SELECT bucket
                        FROM (
                            SELECT bucket, n
                            FROM group_rollups
                            WHERE community_id = CAST($2 AS INT) AND step = CAST($3 AS TEXT)
                                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                            UNION ALL
                            SELECT bucket_start(bucket, CAST($3 AS TEXT), (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), n
                            FROM group_deltas
                            WHERE community_id = CAST($2 AS INT)
                                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                                AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
                        ) AS moves
                        WHERE bucket >= coalesce(CAST($4 AS TIMESTAMPTZ)::timestamptz - CASE CAST($3 AS TEXT) WHEN '5m' THEN interval '14 days' WHEN '1h' THEN interval '184 days' WHEN '1d' THEN interval '731 days' END, '-infinity')
                        GROUP BY bucket
                        HAVING sum(n) <> 0
                    ) AS moved
                ) END AS began
            FROM (
                SELECT grouping_type, grouping_value, members_count AS n, CAST(NULL AS timestamptz) AS month
                FROM group_counts
                WHERE community_id = CAST($2 AS INT) AND grouping_type = 'all'
                UNION ALL
                SELECT grouping_type, grouping_value, n, CAST(NULL AS timestamptz)
                FROM group_deltas
                WHERE community_id = CAST($2 AS INT) AND grouping_type = 'all'
                    AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
                UNION ALL
                SELECT grouping_type, grouping_value, 0, bucket
                FROM (
                    SELECT grouping_type, grouping_value, bucket, n
                    FROM group_rollups
                    WHERE community_id = CAST($2 AS INT) AND step = '1mo' AND grouping_type = 'all'
                    UNION ALL
                    SELECT grouping_type, grouping_value, bucket_start(bucket, '1mo', (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), n
                    FROM group_deltas
                    WHERE community_id = CAST($2 AS INT) AND grouping_type = 'all'
                        AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
                ) AS moves
                GROUP BY grouping_type, grouping_value, bucket
                HAVING sum(n) <> 0
            ) AS own
            GROUP BY grouping_type, grouping_value
        ) AS now
        CROSS JOIN generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
        LEFT JOIN (
            SELECT grouping_type, grouping_value, width_bucket(bucket, CAST($5 AS TIMESTAMPTZ[])::timestamptz[]) AS i, sum(n) AS n
            FROM (
                SELECT grouping_type, grouping_value, bucket, n
                FROM group_rollups
                WHERE community_id = CAST($2 AS INT) AND step = CAST($3 AS TEXT) AND grouping_type = 'all'
                    AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
                UNION ALL
                SELECT grouping_type, grouping_value, bucket, n
                FROM group_deltas
                WHERE community_id = CAST($2 AS INT) AND grouping_type = 'all'
                    AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
                    AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
            ) AS moves
            GROUP BY 1, 2, 3
        ) AS later USING (grouping_type, grouping_value, i)
    ) AS levels
    WHERE (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] <= CAST($4 AS TIMESTAMPTZ) AND (began < (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[i] OR members_count <> 0)
) AS r
GROUP BY 1;
