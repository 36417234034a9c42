-- Written by a test: REGULARS_RENEW_GOLDEN=1 python -m pytest tests/query/test_golden.py

-- not grouped otherwise: community, from, to
SELECT
    sum(r.dispatches) AS "dispatches",
    sum(r.transmitted) AS "transmitted",
    sum(r.delivered) AS "delivered",
    sum(r.failed) AS "failed",
    sum(r.opened) AS "opened",
    sum(r.clicked) AS "clicked",
    sum(r.bounced) AS "bounced",
    sum(r.unsubscribed) AS "unsubscribed",
    sum(r.complained) AS "complained",
    sum(r.unique_opened) AS "unique_opened",
    sum(r.unique_clicked) AS "unique_clicked"
FROM (
    SELECT
        id AS sending_id, reporting_id, campaign_id, channel,
        dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known AND first_at >= CAST($2 AS TIMESTAMPTZ) AND last_at < CAST($3 AS TIMESTAMPTZ)
    UNION ALL
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, e.dispatches, e.transmitted, e.delivered, e.failed, e.opened, e.clicked, e.bounced, e.unsubscribed, e.complained, e.unique_opened, e.unique_clicked
    FROM sendings AS s
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT dispatch_id) AS dispatches,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
            count(*) FILTER (WHERE event = 1) AS scheduled, count(*) FILTER (WHERE event = 2) AS transmitted, count(*) FILTER (WHERE event = 3) AS delivered, count(*) FILTER (WHERE event = 4) AS failed, count(*) FILTER (WHERE event = 5) AS opened, count(*) FILTER (WHERE event = 6) AS clicked, count(*) FILTER (WHERE event = 7) AS bounced, count(*) FILTER (WHERE event = 8) AS unsubscribed, count(*) FILTER (WHERE event = 9) AS complained
        FROM sending_events
        WHERE community_id = CAST($1 AS INT) AND sending_id = s.id AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
        OFFSET 0
    ) AS e
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND s.first_at < CAST($3 AS TIMESTAMPTZ) AND s.last_at >= CAST($2 AS TIMESTAMPTZ) AND (s.first_at < CAST($2 AS TIMESTAMPTZ) OR s.last_at >= CAST($3 AS TIMESTAMPTZ))
      AND e.dispatches > 0
) AS r
HAVING count(*) > 0;

-- community_id: community, from, to
SELECT
    CAST($1 AS INT) AS "community_id",
    sum(r.dispatches) AS "dispatches",
    sum(r.transmitted) AS "transmitted",
    sum(r.delivered) AS "delivered",
    sum(r.failed) AS "failed",
    sum(r.opened) AS "opened",
    sum(r.clicked) AS "clicked",
    sum(r.bounced) AS "bounced",
    sum(r.unsubscribed) AS "unsubscribed",
    sum(r.complained) AS "complained",
    sum(r.unique_opened) AS "unique_opened",
    sum(r.unique_clicked) AS "unique_clicked"
FROM (
    SELECT
        id AS sending_id, reporting_id, campaign_id, channel,
        dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known AND first_at >= CAST($2 AS TIMESTAMPTZ) AND last_at < CAST($3 AS TIMESTAMPTZ)
    UNION ALL
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, e.dispatches, e.transmitted, e.delivered, e.failed, e.opened, e.clicked, e.bounced, e.unsubscribed, e.complained, e.unique_opened, e.unique_clicked
    FROM sendings AS s
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT dispatch_id) AS dispatches,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
            count(*) FILTER (WHERE event = 1) AS scheduled, count(*) FILTER (WHERE event = 2) AS transmitted, count(*) FILTER (WHERE event = 3) AS delivered, count(*) FILTER (WHERE event = 4) AS failed, count(*) FILTER (WHERE event = 5) AS opened, count(*) FILTER (WHERE event = 6) AS clicked, count(*) FILTER (WHERE event = 7) AS bounced, count(*) FILTER (WHERE event = 8) AS unsubscribed, count(*) FILTER (WHERE event = 9) AS complained
        FROM sending_events
        WHERE community_id = CAST($1 AS INT) AND sending_id = s.id AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
        OFFSET 0
    ) AS e
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND s.first_at < CAST($3 AS TIMESTAMPTZ) AND s.last_at >= CAST($2 AS TIMESTAMPTZ) AND (s.first_at < CAST($2 AS TIMESTAMPTZ) OR s.last_at >= CAST($3 AS TIMESTAMPTZ))
      AND e.dispatches > 0
) AS r
HAVING count(*) > 0;

-- sending_id: community, from, to
SELECT
    r.sending_id AS "sending_id",
    sum(r.dispatches) AS "dispatches",
    sum(r.transmitted) AS "transmitted",
    sum(r.delivered) AS "delivered",
    sum(r.failed) AS "failed",
    sum(r.opened) AS "opened",
    sum(r.clicked) AS "clicked",
    sum(r.bounced) AS "bounced",
    sum(r.unsubscribed) AS "unsubscribed",
    sum(r.complained) AS "complained",
    sum(r.unique_opened) AS "unique_opened",
    sum(r.unique_clicked) AS "unique_clicked"
FROM (
    SELECT
        id AS sending_id, reporting_id, campaign_id, channel,
        dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known AND first_at >= CAST($2 AS TIMESTAMPTZ) AND last_at < CAST($3 AS TIMESTAMPTZ)
    UNION ALL
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, e.dispatches, e.transmitted, e.delivered, e.failed, e.opened, e.clicked, e.bounced, e.unsubscribed, e.complained, e.unique_opened, e.unique_clicked
    FROM sendings AS s
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT dispatch_id) AS dispatches,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
            count(*) FILTER (WHERE event = 1) AS scheduled, count(*) FILTER (WHERE event = 2) AS transmitted, count(*) FILTER (WHERE event = 3) AS delivered, count(*) FILTER (WHERE event = 4) AS failed, count(*) FILTER (WHERE event = 5) AS opened, count(*) FILTER (WHERE event = 6) AS clicked, count(*) FILTER (WHERE event = 7) AS bounced, count(*) FILTER (WHERE event = 8) AS unsubscribed, count(*) FILTER (WHERE event = 9) AS complained
        FROM sending_events
        WHERE community_id = CAST($1 AS INT) AND sending_id = s.id AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
        OFFSET 0
    ) AS e
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND s.first_at < CAST($3 AS TIMESTAMPTZ) AND s.last_at >= CAST($2 AS TIMESTAMPTZ) AND (s.first_at < CAST($2 AS TIMESTAMPTZ) OR s.last_at >= CAST($3 AS TIMESTAMPTZ))
      AND e.dispatches > 0
) AS r
GROUP BY 1;

-- reporting_id: community, from, to
SELECT
    r.reporting_id AS "reporting_id",
    sum(r.dispatches) AS "dispatches",
    sum(r.transmitted) AS "transmitted",
    sum(r.delivered) AS "delivered",
    sum(r.failed) AS "failed",
    sum(r.opened) AS "opened",
    sum(r.clicked) AS "clicked",
    sum(r.bounced) AS "bounced",
    sum(r.unsubscribed) AS "unsubscribed",
    sum(r.complained) AS "complained",
    sum(r.unique_opened) AS "unique_opened",
    sum(r.unique_clicked) AS "unique_clicked"
FROM (
    SELECT
        id AS sending_id, reporting_id, campaign_id, channel,
        dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known AND first_at >= CAST($2 AS TIMESTAMPTZ) AND last_at < CAST($3 AS TIMESTAMPTZ)
    UNION ALL
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, e.dispatches, e.transmitted, e.delivered, e.failed, e.opened, e.clicked, e.bounced, e.unsubscribed, e.complained, e.unique_opened, e.unique_clicked
    FROM sendings AS s
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT dispatch_id) AS dispatches,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
            count(*) FILTER (WHERE event = 1) AS scheduled, count(*) FILTER (WHERE event = 2) AS transmitted, count(*) FILTER (WHERE event = 3) AS delivered, count(*) FILTER (WHERE event = 4) AS failed, count(*) FILTER (WHERE event = 5) AS opened, count(*) FILTER (WHERE event = 6) AS clicked, count(*) FILTER (WHERE event = 7) AS bounced, count(*) FILTER (WHERE event = 8) AS unsubscribed, count(*) FILTER (WHERE event = 9) AS complained
        FROM sending_events
        WHERE community_id = CAST($1 AS INT) AND sending_id = s.id AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
        OFFSET 0
    ) AS e
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND s.first_at < CAST($3 AS TIMESTAMPTZ) AND s.last_at >= CAST($2 AS TIMESTAMPTZ) AND (s.first_at < CAST($2 AS TIMESTAMPTZ) OR s.last_at >= CAST($3 AS TIMESTAMPTZ))
      AND e.dispatches > 0
) AS r
GROUP BY 1;

-- campaign_id: community, from, to
SELECT
    r.campaign_id AS "campaign_id",
    sum(r.dispatches) AS "dispatches",
    sum(r.transmitted) AS "transmitted",
    sum(r.delivered) AS "delivered",
    sum(r.failed) AS "failed",
    sum(r.opened) AS "opened",
    sum(r.clicked) AS "clicked",
    sum(r.bounced) AS "bounced",
    sum(r.unsubscribed) AS "unsubscribed",
    sum(r.complained) AS "complained",
    sum(r.unique_opened) AS "unique_opened",
    sum(r.unique_clicked) AS "unique_clicked"
FROM (
    SELECT
        id AS sending_id, reporting_id, campaign_id, channel,
        dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known AND first_at >= CAST($2 AS TIMESTAMPTZ) AND last_at < CAST($3 AS TIMESTAMPTZ)
    UNION ALL
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, e.dispatches, e.transmitted, e.delivered, e.failed, e.opened, e.clicked, e.bounced, e.unsubscribed, e.complained, e.unique_opened, e.unique_clicked
    FROM sendings AS s
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT dispatch_id) AS dispatches,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
            count(*) FILTER (WHERE event = 1) AS scheduled, count(*) FILTER (WHERE event = 2) AS transmitted, count(*) FILTER (WHERE event = 3) AS delivered, count(*) FILTER (WHERE event = 4) AS failed, count(*) FILTER (WHERE event = 5) AS opened, count(*) FILTER (WHERE event = 6) AS clicked, count(*) FILTER (WHERE event = 7) AS bounced, count(*) FILTER (WHERE event = 8) AS unsubscribed, count(*) FILTER (WHERE event = 9) AS complained
        FROM sending_events
        WHERE community_id = CAST($1 AS INT) AND sending_id = s.id AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
        OFFSET 0
    ) AS e
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND s.first_at < CAST($3 AS TIMESTAMPTZ) AND s.last_at >= CAST($2 AS TIMESTAMPTZ) AND (s.first_at < CAST($2 AS TIMESTAMPTZ) OR s.last_at >= CAST($3 AS TIMESTAMPTZ))
      AND e.dispatches > 0
) AS r
GROUP BY 1;

-- channel: community, from, to
SELECT
    r.channel AS "channel",
    sum(r.dispatches) AS "dispatches",
    sum(r.transmitted) AS "transmitted",
    sum(r.delivered) AS "delivered",
    sum(r.failed) AS "failed",
    sum(r.opened) AS "opened",
    sum(r.clicked) AS "clicked",
    sum(r.bounced) AS "bounced",
    sum(r.unsubscribed) AS "unsubscribed",
    sum(r.complained) AS "complained",
    sum(r.unique_opened) AS "unique_opened",
    sum(r.unique_clicked) AS "unique_clicked"
FROM (
    SELECT
        id AS sending_id, reporting_id, campaign_id, channel,
        dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known AND first_at >= CAST($2 AS TIMESTAMPTZ) AND last_at < CAST($3 AS TIMESTAMPTZ)
    UNION ALL
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, e.dispatches, e.transmitted, e.delivered, e.failed, e.opened, e.clicked, e.bounced, e.unsubscribed, e.complained, e.unique_opened, e.unique_clicked
    FROM sendings AS s
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT dispatch_id) AS dispatches,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
            count(*) FILTER (WHERE event = 1) AS scheduled, count(*) FILTER (WHERE event = 2) AS transmitted, count(*) FILTER (WHERE event = 3) AS delivered, count(*) FILTER (WHERE event = 4) AS failed, count(*) FILTER (WHERE event = 5) AS opened, count(*) FILTER (WHERE event = 6) AS clicked, count(*) FILTER (WHERE event = 7) AS bounced, count(*) FILTER (WHERE event = 8) AS unsubscribed, count(*) FILTER (WHERE event = 9) AS complained
        FROM sending_events
        WHERE community_id = CAST($1 AS INT) AND sending_id = s.id AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
        OFFSET 0
    ) AS e
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND s.first_at < CAST($3 AS TIMESTAMPTZ) AND s.last_at >= CAST($2 AS TIMESTAMPTZ) AND (s.first_at < CAST($2 AS TIMESTAMPTZ) OR s.last_at >= CAST($3 AS TIMESTAMPTZ))
      AND e.dispatches > 0
) AS r
GROUP BY 1;

-- total: community, from, to
SELECT
    sum(r.dispatches) AS "dispatches",
    sum(r.transmitted) AS "transmitted",
    sum(r.delivered) AS "delivered",
    sum(r.failed) AS "failed",
    sum(r.opened) AS "opened",
    sum(r.clicked) AS "clicked",
    sum(r.bounced) AS "bounced",
    sum(r.unsubscribed) AS "unsubscribed",
    sum(r.complained) AS "complained",
    sum(r.unique_opened) AS "unique_opened",
    sum(r.unique_clicked) AS "unique_clicked"
FROM (
    SELECT
        id AS sending_id, reporting_id, campaign_id, channel,
        dispatches_count AS dispatches, transmitted_count AS transmitted, delivered_count AS delivered, failed_count AS failed, opened_count AS opened, clicked_count AS clicked, bounced_count AS bounced, unsubscribed_count AS unsubscribed, complained_count AS complained, unique_opened_count AS unique_opened, unique_clicked_count AS unique_clicked
    FROM sendings
    WHERE community_id = CAST($1 AS INT) AND is_known AND first_at >= CAST($2 AS TIMESTAMPTZ) AND last_at < CAST($3 AS TIMESTAMPTZ)
    UNION ALL
    SELECT s.id, s.reporting_id, s.campaign_id, s.channel, e.dispatches, e.transmitted, e.delivered, e.failed, e.opened, e.clicked, e.bounced, e.unsubscribed, e.complained, e.unique_opened, e.unique_clicked
    FROM sendings AS s
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT dispatch_id) AS dispatches,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 5) AS unique_opened,
            count(DISTINCT dispatch_id) FILTER (WHERE event = 6) AS unique_clicked,
            count(*) FILTER (WHERE event = 1) AS scheduled, count(*) FILTER (WHERE event = 2) AS transmitted, count(*) FILTER (WHERE event = 3) AS delivered, count(*) FILTER (WHERE event = 4) AS failed, count(*) FILTER (WHERE event = 5) AS opened, count(*) FILTER (WHERE event = 6) AS clicked, count(*) FILTER (WHERE event = 7) AS bounced, count(*) FILTER (WHERE event = 8) AS unsubscribed, count(*) FILTER (WHERE event = 9) AS complained
        FROM sending_events
        WHERE community_id = CAST($1 AS INT) AND sending_id = s.id AND at >= CAST($2 AS TIMESTAMPTZ) AND at < CAST($3 AS TIMESTAMPTZ)
        OFFSET 0
    ) AS e
    WHERE s.community_id = CAST($1 AS INT) AND s.is_known
      AND s.first_at < CAST($3 AS TIMESTAMPTZ) AND s.last_at >= CAST($2 AS TIMESTAMPTZ) AND (s.first_at < CAST($2 AS TIMESTAMPTZ) OR s.last_at >= CAST($3 AS TIMESTAMPTZ))
      AND e.dispatches > 0
) AS r
HAVING count(*) > 0;
