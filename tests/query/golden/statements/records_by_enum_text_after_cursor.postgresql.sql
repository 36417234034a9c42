-- records by enum text after cursor, as in members_grouped_count
-- Parameters: community, rank1, c1, c2, limit
SELECT
    CAST($1 AS INT) AS "community_id",
    r.grouping_type AS "grouping_type",
    r.grouping_value AS "grouping_value",
    r.members_count AS "members_count",
    r.updated_at AS "updated_at"
FROM (
    TABLE rows
) AS r
WHERE CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END > CAST($2 AS INT)
OR (
    CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END = CAST($2 AS INT)
    AND (
        r.grouping_type COLLATE "C" > CAST($3 AS TEXT)
        OR (
            r.grouping_type COLLATE "C" = CAST($3 AS TEXT)
            AND r.grouping_value COLLATE "C" > CAST($4 AS TEXT)
        )
    )
)
ORDER BY
    CASE WHEN r.grouping_type IS NULL THEN -1 ELSE CASE r.grouping_type WHEN 'optin_channel' THEN 0 WHEN 'optin_subchannel' THEN 1 WHEN 'optin_platform' THEN 2 WHEN 'birth_year_group' THEN 3 WHEN 'consent_true' THEN 4 WHEN 'consent_false' THEN 5 WHEN 'marketing_true' THEN 6 WHEN 'marketing_false' THEN 7 WHEN 'subunit_id' THEN 8 WHEN 'group_id' THEN 9 WHEN 'favorite_store' THEN 10 WHEN 'country' THEN 11 WHEN 'gender' THEN 12 ELSE 13 END END NULLS FIRST,
    r.grouping_type COLLATE "C" NULLS FIRST,
    r.grouping_value COLLATE "C" NULLS FIRST
LIMIT CAST($5 AS BIGINT);

