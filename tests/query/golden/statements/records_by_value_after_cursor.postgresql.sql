-- records by value after cursor, as in sendings
-- Parameters: club, c1, limit
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
    TABLE rows
) AS r
WHERE r.id > CAST($2 AS BIGINT)
ORDER BY
    r.id NULLS FIRST
LIMIT CAST($3 AS BIGINT);

