-- timeseries by value taking the largest, as in sendings_recipients_statistics
-- Parameters: none
SELECT
    s.label_1,
    s.label_2,
    CAST(coalesce(sum(s."recipients_count"), 0) AS bigint) AS "recipients_count",
    CAST(coalesce(max(s."members"), 0) AS bigint) AS "members"
FROM (
    SELECT
        r.bucket AS bucket,
        r.sending_id AS "sending_id",
        sum(r.count) AS "recipients_count",
        sum(r.count) AS "members"
    FROM (
        TABLE rows
    ) AS r
    GROUP BY 1, 2, r.sending_id
) AS s (label_1, label_2, "recipients_count", "members")
GROUP BY 1, 2;

