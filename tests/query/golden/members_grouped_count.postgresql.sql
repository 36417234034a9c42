-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- records: community, smallest, limit
SELECT
    CAST($1 AS INT) AS "community_id",
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    r.members_count AS "members_count",
    r.updated_at AS "updated_at"
FROM (
    SELECT
        grouping_type, grouping_value,
        CASE WHEN sum(n) <= 0 OR sum(n) >= CAST($2 AS BIGINT) THEN CAST(sum(n) AS bigint) END AS members_count,
        coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
    FROM (
        SELECT grouping_type, grouping_value, members_count AS n, updated_at AS changed_at, TRUE AS changes
        FROM group_counts
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, sum(n), max(changed_at), sum(n) <> 0
        FROM group_deltas
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
        GROUP BY grouping_type, grouping_value, transaction_id
    ) AS counts
    GROUP BY grouping_type, grouping_value
) AS r
ORDER BY
    CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END NULLS FIRST,
    r.grouping_type COLLATE "C" NULLS FIRST,
    r.grouping_value COLLATE "C" NULLS FIRST
LIMIT CAST($3 AS BIGINT);

-- records behind a cursor: community, smallest, rank1, c1, c2, limit
SELECT
    CAST($1 AS INT) AS "community_id",
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    r.members_count AS "members_count",
    r.updated_at AS "updated_at"
FROM (
    SELECT
        grouping_type, grouping_value,
        CASE WHEN sum(n) <= 0 OR sum(n) >= CAST($2 AS BIGINT) THEN CAST(sum(n) AS bigint) END AS members_count,
        coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
    FROM (
        SELECT grouping_type, grouping_value, members_count AS n, updated_at AS changed_at, TRUE AS changes
        FROM group_counts
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, sum(n), max(changed_at), sum(n) <> 0
        FROM group_deltas
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
        GROUP BY grouping_type, grouping_value, transaction_id
    ) AS counts
    GROUP BY grouping_type, grouping_value
) AS r
WHERE CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END > CAST($3 AS INT)
OR (
    CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END = CAST($3 AS INT)
    AND (
        r.grouping_type COLLATE "C" > CAST($4 AS TEXT)
        OR (
            r.grouping_type COLLATE "C" = CAST($4 AS TEXT)
            AND r.grouping_value COLLATE "C" > CAST($5 AS TEXT)
        )
    )
)
ORDER BY
    CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END NULLS FIRST,
    r.grouping_type COLLATE "C" NULLS FIRST,
    r.grouping_value COLLATE "C" NULLS FIRST
LIMIT CAST($6 AS BIGINT);

-- records behind a cursor of nulls: community, smallest, rank1, limit
SELECT
    CAST($1 AS INT) AS "community_id",
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    r.members_count AS "members_count",
    r.updated_at AS "updated_at"
FROM (
    SELECT
        grouping_type, grouping_value,
        CASE WHEN sum(n) <= 0 OR sum(n) >= CAST($2 AS BIGINT) THEN CAST(sum(n) AS bigint) END AS members_count,
        coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
    FROM (
        SELECT grouping_type, grouping_value, members_count AS n, updated_at AS changed_at, TRUE AS changes
        FROM group_counts
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, sum(n), max(changed_at), sum(n) <> 0
        FROM group_deltas
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
        GROUP BY grouping_type, grouping_value, transaction_id
    ) AS counts
    GROUP BY grouping_type, grouping_value
) AS r
WHERE CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END > CAST($3 AS INT)
OR (
    CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END = CAST($3 AS INT)
    AND (
        r.grouping_type COLLATE "C" IS NOT NULL
        OR (
            r.grouping_type COLLATE "C" IS NULL
            AND r.grouping_value COLLATE "C" IS NOT NULL
        )
    )
)
ORDER BY
    CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END NULLS FIRST,
    r.grouping_type COLLATE "C" NULLS FIRST,
    r.grouping_value COLLATE "C" NULLS FIRST
LIMIT CAST($4 AS BIGINT);

-- by_grouping_type_and_value: smallest, community
SELECT
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT
        grouping_type, grouping_value,
        CASE WHEN sum(n) <= 0 OR sum(n) >= CAST($1 AS BIGINT) THEN CAST(sum(n) AS bigint) END AS members_count,
        coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
    FROM (
        SELECT grouping_type, grouping_value, members_count AS n, updated_at AS changed_at, TRUE AS changes
        FROM group_counts
        WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, sum(n), max(changed_at), sum(n) <> 0
        FROM group_deltas
        WHERE community_id = CAST($2 AS INT) AND grouping_type <> 'all'
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($2 AS INT)), '0'
                )
        GROUP BY grouping_type, grouping_value, transaction_id
    ) AS counts
    GROUP BY grouping_type, grouping_value
) AS r
GROUP BY 1, 2;

-- by_community_id: community, smallest
SELECT
    CAST($1 AS INT) AS "community_id",
    sum(r.members_count) AS "members_count"
FROM (
    SELECT
        grouping_type, grouping_value,
        CASE WHEN sum(n) <= 0 OR sum(n) >= CAST($2 AS BIGINT) THEN CAST(sum(n) AS bigint) END AS members_count,
        coalesce(max(changed_at) FILTER (WHERE changes), min(changed_at)) AS updated_at
    FROM (
        SELECT grouping_type, grouping_value, members_count AS n, updated_at AS changed_at, TRUE AS changes
        FROM group_counts
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
        UNION ALL
        SELECT grouping_type, grouping_value, sum(n), max(changed_at), sum(n) <> 0
        FROM group_deltas
        WHERE community_id = CAST($1 AS INT) AND grouping_type <> 'all'
            AND transaction_id >= coalesce(
                    (SELECT watermark FROM fold_marks WHERE community_id = CAST($1 AS INT)), '0'
                )
        GROUP BY grouping_type, grouping_value, transaction_id
    ) AS counts
    GROUP BY grouping_type, grouping_value
) AS r
HAVING count(*) > 0;
