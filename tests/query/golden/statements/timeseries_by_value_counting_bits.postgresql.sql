-- timeseries by value counting bits, as in transactions_history
-- Parameters: none
SELECT
    s.label_1,
    s.label_2,
    CAST(coalesce(sum(s."transactions"), 0) AS bigint) AS "transactions",
    sum(s."net_amount") AS "net_amount",
    CAST(coalesce(sum(bit_count(s."members")), 0) AS bigint) AS "members"
FROM (
    SELECT
        r.bucket AS bucket,
        r.location AS "location",
        sum(r.sales) AS "transactions",
        sum(r.amount) AS "net_amount",
        bit_or(r.bitmap) AS "members"
    FROM (
        TABLE rows
    ) AS r
    GROUP BY 1, 2, r.chunk
) AS s (label_1, label_2, "transactions", "net_amount", "members")
GROUP BY 1, 2;

