-- Rows of member_balance
-- Parameters: community, interval, starts, ends
SELECT bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, CAST(sum(count) AS bigint) AS count
FROM (
    SELECT bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, count
    FROM balance_rollups
    WHERE community_id = CAST($1 AS INT) AND granularity = CAST($2 AS TEXT) AND dimension_set = 'all'
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
    UNION ALL
    SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false, delta
    FROM member_flow_deltas
    WHERE community_id = CAST($1 AS INT)
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($1 AS INT)), '0'
            )
) AS flows
GROUP BY bucket, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
HAVING sum(count) <> 0;

-- Rows of member_balance, added up by type
-- Parameters: community, interval, starts, ends
SELECT bucket, type, CAST(sum(count) AS bigint) AS count
FROM (
    SELECT bucket, type, count
    FROM balance_rollups
    WHERE community_id = CAST($1 AS INT) AND granularity = CAST($2 AS TEXT) AND dimension_set = ''
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
    UNION ALL
    SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, delta
    FROM member_flow_deltas
    WHERE community_id = CAST($1 AS INT)
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($1 AS INT)), '0'
            )
) AS flows
GROUP BY bucket, type
HAVING sum(count) <> 0;

-- Rows of member_balance, added up by type, optin_channel
-- Parameters: community, interval, starts, ends
SELECT bucket, type, optin_channel, CAST(sum(count) AS bigint) AS count
FROM (
    SELECT bucket, type, optin_channel, count
    FROM balance_rollups
    WHERE community_id = CAST($1 AS INT) AND granularity = CAST($2 AS TEXT) AND dimension_set = 'optin_channel'
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
    UNION ALL
    SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, optin_channel, delta
    FROM member_flow_deltas
    WHERE community_id = CAST($1 AS INT)
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($1 AS INT)), '0'
            )
) AS flows
GROUP BY bucket, type, optin_channel
HAVING sum(count) <> 0;

-- Rows of member_balance, added up by type, consents
-- Parameters: community, interval, starts, ends
SELECT bucket, type, consents_true, consents_false, CAST(sum(count) AS bigint) AS count
FROM (
    SELECT bucket, type, consents_true, consents_false, count
    FROM balance_rollups
    WHERE community_id = CAST($1 AS INT) AND granularity = CAST($2 AS TEXT) AND dimension_set = 'consents'
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
    UNION ALL
    SELECT (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[width_bucket(bucket, CAST($3 AS TIMESTAMPTZ[])::timestamptz[])], type, consents_true, consents_false, delta
    FROM member_flow_deltas
    WHERE community_id = CAST($1 AS INT)
        AND bucket >= (CAST($3 AS TIMESTAMPTZ[])::timestamptz[])[1] AND bucket < (CAST($4 AS TIMESTAMPTZ[])::timestamptz[])[cardinality(CAST($4 AS TIMESTAMPTZ[])::timestamptz[])]
        AND recorded_xid >= coalesce(
                (SELECT watermark FROM compaction_state WHERE community_id = CAST($1 AS INT)), '0'
            )
) AS flows
GROUP BY bucket, type, consents_true, consents_false
HAVING sum(count) <> 0;

