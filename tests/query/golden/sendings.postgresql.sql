-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- records: club, now, community, limit
SELECT
    r.id AS "id",
    CAST($1 AS INT) AS "loyalty_club_id",
    r.language AS "language",
    r.channel AS "channel",
    r.service_type AS "service_type",
    r.reporting_id AS "reporting_id",
    r.source_id AS "source_id",
    r.source_app AS "source_app",
    r.source_type AS "source_type",
    r.audience_id AS "audience_id",
    r.campaign_id AS "campaign_id",
    r.dispatches_count AS "dispatches_count",
    r.members_count AS "members_count",
    r.new_count AS "new_count",
    r.delivered_count AS "delivered_count",
    r.failed_count AS "failed_count",
    r.opened_count AS "opened_count",
    r.unique_opened_count AS "unique_opened_count",
    r.clicked_count AS "clicked_count",
    r.unique_clicked_count AS "unique_clicked_count",
    r.bounced_count AS "bounced_count",
    r.unsubscribed_count AS "unsubscribed_count",
    r.complained_count AS "complained_count",
    r.transmitted_count AS "transmitted_count",
    r.created_at AS "created_at",
    r.timeseries_ranges AS "timeseries_ranges"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($3 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($3 AS INT) AND is_known
) AS r
ORDER BY
    r.id NULLS FIRST
LIMIT CAST($4 AS BIGINT);

-- records behind a cursor: club, now, community, c1, limit
SELECT
    r.id AS "id",
    CAST($1 AS INT) AS "loyalty_club_id",
    r.language AS "language",
    r.channel AS "channel",
    r.service_type AS "service_type",
    r.reporting_id AS "reporting_id",
    r.source_id AS "source_id",
    r.source_app AS "source_app",
    r.source_type AS "source_type",
    r.audience_id AS "audience_id",
    r.campaign_id AS "campaign_id",
    r.dispatches_count AS "dispatches_count",
    r.members_count AS "members_count",
    r.new_count AS "new_count",
    r.delivered_count AS "delivered_count",
    r.failed_count AS "failed_count",
    r.opened_count AS "opened_count",
    r.unique_opened_count AS "unique_opened_count",
    r.clicked_count AS "clicked_count",
    r.unique_clicked_count AS "unique_clicked_count",
    r.bounced_count AS "bounced_count",
    r.unsubscribed_count AS "unsubscribed_count",
    r.complained_count AS "complained_count",
    r.transmitted_count AS "transmitted_count",
    r.created_at AS "created_at",
    r.timeseries_ranges AS "timeseries_ranges"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($3 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($3 AS INT) AND is_known
) AS r
WHERE r.id > CAST($4 AS BIGINT)
ORDER BY
    r.id NULLS FIRST
LIMIT CAST($5 AS BIGINT);

-- records behind a cursor of nulls: club, now, community, limit
SELECT
    r.id AS "id",
    CAST($1 AS INT) AS "loyalty_club_id",
    r.language AS "language",
    r.channel AS "channel",
    r.service_type AS "service_type",
    r.reporting_id AS "reporting_id",
    r.source_id AS "source_id",
    r.source_app AS "source_app",
    r.source_type AS "source_type",
    r.audience_id AS "audience_id",
    r.campaign_id AS "campaign_id",
    r.dispatches_count AS "dispatches_count",
    r.members_count AS "members_count",
    r.new_count AS "new_count",
    r.delivered_count AS "delivered_count",
    r.failed_count AS "failed_count",
    r.opened_count AS "opened_count",
    r.unique_opened_count AS "unique_opened_count",
    r.clicked_count AS "clicked_count",
    r.unique_clicked_count AS "unique_clicked_count",
    r.bounced_count AS "bounced_count",
    r.unsubscribed_count AS "unsubscribed_count",
    r.complained_count AS "complained_count",
    r.transmitted_count AS "transmitted_count",
    r.created_at AS "created_at",
    r.timeseries_ranges AS "timeseries_ranges"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($3 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($3 AS INT) AND is_known
) AS r
WHERE r.id IS NOT NULL
ORDER BY
    r.id NULLS FIRST
LIMIT CAST($4 AS BIGINT);

-- by_loyalty_club_id: club, now, community
SELECT
    CAST($1 AS INT) AS "loyalty_club_id",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($3 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($3 AS INT) AND is_known
) AS r
HAVING count(*) > 0;

-- by_language: now, community
SELECT
    r.language AS "language",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_channel: now, community
SELECT
    r.channel AS "channel",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_service_type: now, community
SELECT
    r.service_type AS "service_type",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_reporting_id: now, community
SELECT
    r.reporting_id AS "reporting_id",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_source_id: now, community
SELECT
    r.source_id AS "source_id",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_source_app: now, community
SELECT
    r.source_app AS "source_app",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_source_type: now, community
SELECT
    r.source_type AS "source_type",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_audience_id: now, community
SELECT
    r.audience_id AS "audience_id",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_campaign_id: now, community
SELECT
    r.campaign_id AS "campaign_id",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($1 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($1 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($2 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($2 AS INT) AND is_known
) AS r
GROUP BY 1;

-- by_community_id: community, now
SELECT
    CAST($1 AS INT) AS "community_id",
    sum(r.dispatches_count) AS "dispatches_count",
    sum(r.members_count) AS "members_count",
    sum(r.new_count) AS "new_count",
    sum(r.delivered_count) AS "delivered_count",
    sum(r.failed_count) AS "failed_count",
    sum(r.opened_count) AS "opened_count",
    sum(r.unique_opened_count) AS "unique_opened_count",
    sum(r.clicked_count) AS "clicked_count",
    sum(r.unique_clicked_count) AS "unique_clicked_count",
    sum(r.bounced_count) AS "bounced_count",
    sum(r.unsubscribed_count) AS "unsubscribed_count",
    sum(r.complained_count) AS "complained_count",
    sum(r.transmitted_count) AS "transmitted_count"
FROM (
    SELECT
        id, language, channel, service_type, reporting_id, source_id, source_app, source_type, audience_id, campaign_id, dispatches_count, members_count, new_count, delivered_count, failed_count, opened_count, unique_opened_count, clicked_count, unique_clicked_count, bounced_count, unsubscribed_count, complained_count, transmitted_count, created_at,
        CAST((
            SELECT json_build_object(
                '5m', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '14 days'), '5m', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '5m', zone) > bucket_start(last_at, '5m', zone)
                        THEN utc_text(bucket_start(last_at, '5m', zone))
                    END
                ) END,
                '1h', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '184 days'), '1h', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1h', zone) > bucket_start(last_at, '1h', zone)
                        THEN utc_text(bucket_start(last_at, '1h', zone))
                    END
                ) END,
                '1d', CASE WHEN last_at >= CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days' THEN json_build_object(
                    'from', utc_text(bucket_start(greatest(first_at, CAST(CAST($2 AS TIMESTAMPTZ) AS timestamptz) - interval '731 days'), '1d', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1d', zone) > bucket_start(last_at, '1d', zone)
                        THEN utc_text(bucket_start(last_at, '1d', zone))
                    END
                ) END,
                '1w', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1w', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1w', zone) > bucket_start(last_at, '1w', zone)
                        THEN utc_text(bucket_start(last_at, '1w', zone))
                    END
                ) END,
                '1mo', CASE WHEN last_at IS NOT NULL THEN json_build_object(
                    'from', utc_text(bucket_start(first_at, '1mo', zone)),
                    'to', CASE
                        WHEN bucket_start(CAST($2 AS TIMESTAMPTZ), '1mo', zone) > bucket_start(last_at, '1mo', zone)
                        THEN utc_text(bucket_start(last_at, '1mo', zone))
                    END
                ) END
            )
            FROM (SELECT timezone AS zone FROM communities WHERE id = CAST($1 AS INT)) AS own
        ) AS text) AS timeseries_ranges
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known
) AS r
HAVING count(*) > 0;
