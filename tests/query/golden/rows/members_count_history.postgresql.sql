-- Rows of members_count_history
-- Parameters: starts, community, interval, now, ends
SELECT grouping_type, grouping_value, place, (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT
        grouping_type, grouping_value, array_position(ARRAY['optin_channel', 'optin_subchannel', 'optin_platform', 'birth_year_group', 'consent_true', 'consent_false', 'marketing_true', 'marketing_false', 'subunit_id', 'group_id', 'favorite_store', 'country', 'gender'], grouping_type) AS place, sum(delta) AS count, min(month) AS month,
        array_agg(bucket) FILTER (WHERE bucket IS NOT NULL) AS pending_buckets,
        array_agg(delta) FILTER (WHERE bucket IS NOT NULL) AS pending_deltas
    FROM (
        SELECT
            grouping_type, grouping_value, members_count AS delta, CAST(NULL AS timestamptz) AS month,
            CAST(NULL AS timestamptz) AS bucket
        FROM group_counts
        WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, delta, CAST(NULL AS timestamptz), bucket
        FROM group_count_deltas
        WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
            AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($2 AS INT)), '0'
            )
        UNION ALL
        SELECT grouping_type, grouping_value, 0, bucket, CAST(NULL AS timestamptz)
        FROM (
            SELECT grouping_type, grouping_value, bucket, delta
            FROM group_rollups
            WHERE community_id = CAST($2 AS INT) AND granularity = '1mo' AND grouping_type <> 'all'
            UNION ALL
            SELECT grouping_type, grouping_value, bucket_start(bucket, '1mo', (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), delta
            FROM group_count_deltas
            WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
                AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($2 AS INT)), '0'
            )
        ) AS deltas
        GROUP BY grouping_type, grouping_value, bucket
        HAVING sum(delta) <> 0
    ) AS counts
    GROUP BY grouping_type, grouping_value
    ORDER BY place, grouping_value
) AS own
CROSS JOIN LATERAL (
    SELECT
        i,
        own.count - sum(coalesce(later.delta, 0)) OVER (ORDER BY i DESC) AS members_count,
        CASE WHEN own.month < (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[1] - interval '32 days' THEN own.month ELSE (
            SELECT min(bucket)
            FROM (
                SELECT bucket
                FROM (
                    SELECT bucket, delta
                    FROM group_rollups
                    WHERE community_id = CAST($2 AS INT) AND granularity = CAST($3 AS TEXT)
                        AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                    UNION ALL
                    SELECT bucket_start(bucket, CAST($3 AS TEXT), (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), delta
                    FROM unnest(own.pending_buckets, own.pending_deltas) AS pending (bucket, delta)
                ) AS deltas
                WHERE bucket >= coalesce(CAST($4 AS TIMESTAMPTZ)::timestamptz - CASE CAST($3 AS TEXT) WHEN '5m' THEN interval '14 days' WHEN '1h' THEN interval '184 days' WHEN '1d' THEN interval '731 days' END, '-infinity')
                GROUP BY bucket
                HAVING sum(delta) <> 0
            ) AS changes_of_count
        ) END AS began
    FROM generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
    LEFT JOIN (
        SELECT width_bucket(bucket, CAST($5 AS TIMESTAMPTZ[])::timestamptz[]) AS i, sum(delta) AS delta
        FROM (
            SELECT bucket, delta
            FROM group_rollups
            WHERE community_id = CAST($2 AS INT) AND granularity = CAST($3 AS TEXT)
                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
            UNION ALL
            SELECT bucket, delta
            FROM unnest(own.pending_buckets, own.pending_deltas) AS pending (bucket, delta)
            WHERE bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS deltas
        GROUP BY 1
    ) AS later USING (i)
) AS levels
WHERE (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] <= CAST($4 AS TIMESTAMPTZ) AND (began < (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[i] OR members_count <> 0);

-- Rows of members_count_history
-- Parameters: starts, community, interval, now, ends
SELECT  (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] AS bucket, CAST(members_count AS bigint) AS members_count
FROM (
    SELECT
        grouping_type, grouping_value, array_position(ARRAY['optin_channel', 'optin_subchannel', 'optin_platform', 'birth_year_group', 'consent_true', 'consent_false', 'marketing_true', 'marketing_false', 'subunit_id', 'group_id', 'favorite_store', 'country', 'gender'], grouping_type) AS place, sum(delta) AS count, min(month) AS month,
        array_agg(bucket) FILTER (WHERE bucket IS NOT NULL) AS pending_buckets,
        array_agg(delta) FILTER (WHERE bucket IS NOT NULL) AS pending_deltas
    FROM (
        SELECT
            grouping_type, grouping_value, members_count AS delta, CAST(NULL AS timestamptz) AS month,
            CAST(NULL AS timestamptz) AS bucket
        FROM group_counts
        WHERE community_id = CAST($2 AS INT) AND grouping_type = 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, delta, CAST(NULL AS timestamptz), bucket
        FROM group_count_deltas
        WHERE community_id = CAST($2 AS INT) AND grouping_type = 'all'
            AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($2 AS INT)), '0'
            )
        UNION ALL
        SELECT grouping_type, grouping_value, 0, bucket, CAST(NULL AS timestamptz)
        FROM (
            SELECT grouping_type, grouping_value, bucket, delta
            FROM group_rollups
            WHERE community_id = CAST($2 AS INT) AND granularity = '1mo' AND grouping_type = 'all'
            UNION ALL
            SELECT grouping_type, grouping_value, bucket_start(bucket, '1mo', (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), delta
            FROM group_count_deltas
            WHERE community_id = CAST($2 AS INT) AND grouping_type = 'all'
                AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($2 AS INT)), '0'
            )
        ) AS deltas
        GROUP BY grouping_type, grouping_value, bucket
        HAVING sum(delta) <> 0
    ) AS counts
    GROUP BY grouping_type, grouping_value
    ORDER BY place, grouping_value
) AS own
CROSS JOIN LATERAL (
    SELECT
        i,
        own.count - sum(coalesce(later.delta, 0)) OVER (ORDER BY i DESC) AS members_count,
        CASE WHEN own.month < (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[1] - interval '32 days' THEN own.month ELSE (
            SELECT min(bucket)
            FROM (
                SELECT bucket
                FROM (
                    SELECT bucket, delta
                    FROM group_rollups
                    WHERE community_id = CAST($2 AS INT) AND granularity = CAST($3 AS TEXT)
                        AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                    UNION ALL
                    SELECT bucket_start(bucket, CAST($3 AS TEXT), (SELECT timezone FROM communities WHERE id = CAST($2 AS INT))), delta
                    FROM unnest(own.pending_buckets, own.pending_deltas) AS pending (bucket, delta)
                ) AS deltas
                WHERE bucket >= coalesce(CAST($4 AS TIMESTAMPTZ)::timestamptz - CASE CAST($3 AS TEXT) WHEN '5m' THEN interval '14 days' WHEN '1h' THEN interval '184 days' WHEN '1d' THEN interval '731 days' END, '-infinity')
                GROUP BY bucket
                HAVING sum(delta) <> 0
            ) AS changes_of_count
        ) END AS began
    FROM generate_subscripts(CAST($1 AS TIMESTAMPTZ[])::timestamptz[], 1) AS i
    LEFT JOIN (
        SELECT width_bucket(bucket, CAST($5 AS TIMESTAMPTZ[])::timestamptz[]) AS i, sum(delta) AS delta
        FROM (
            SELECT bucket, delta
            FROM group_rollups
            WHERE community_id = CAST($2 AS INT) AND granularity = CAST($3 AS TEXT)
                AND grouping_type = own.grouping_type AND grouping_value = own.grouping_value
                AND bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
            UNION ALL
            SELECT bucket, delta
            FROM unnest(own.pending_buckets, own.pending_deltas) AS pending (bucket, delta)
            WHERE bucket >= (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[1]
        ) AS deltas
        GROUP BY 1
    ) AS later USING (i)
) AS levels
WHERE (CAST($1 AS TIMESTAMPTZ[])::timestamptz[])[i] <= CAST($4 AS TIMESTAMPTZ) AND (began < (CAST($5 AS TIMESTAMPTZ[])::timestamptz[])[i] OR members_count <> 0);

