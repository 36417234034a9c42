-- Rows of sendings
-- Parameters: now, community
SELECT
    id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
    CAST((
        SELECT json_build_object(
            '5m', CASE WHEN last_event_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                'from', iso8601_utc(bucket_start(greatest(first_event_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                'to', CASE
                    WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_event_at, '5m', zone)
                    THEN iso8601_utc(bucket_start(last_event_at, '5m', zone))
                END
            ) END,
            '1h', CASE WHEN last_event_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                'from', iso8601_utc(bucket_start(greatest(first_event_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                'to', CASE
                    WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_event_at, '1h', zone)
                    THEN iso8601_utc(bucket_start(last_event_at, '1h', zone))
                END
            ) END,
            '1d', CASE WHEN last_event_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                'from', iso8601_utc(bucket_start(greatest(first_event_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                'to', CASE
                    WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_event_at, '1d', zone)
                    THEN iso8601_utc(bucket_start(last_event_at, '1d', zone))
                END
            ) END,
            '1w', CASE WHEN last_event_at IS NOT NULL THEN json_build_object(
                'from', iso8601_utc(bucket_start(first_event_at, '1w', zone)),
                'to', CASE
                    WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_event_at, '1w', zone)
                    THEN iso8601_utc(bucket_start(last_event_at, '1w', zone))
                END
            ) END,
            '1mo', CASE WHEN last_event_at IS NOT NULL THEN json_build_object(
                'from', iso8601_utc(bucket_start(first_event_at, '1mo', zone)),
                'to', CASE
                    WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_event_at, '1mo', zone)
                    THEN iso8601_utc(bucket_start(last_event_at, '1mo', zone))
                END
            ) END
        )
        FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
    ) AS text) AS timeseries_ranges
FROM sendings
WHERE community_id = CAST($2 AS INT) AND NOT is_placeholder;

