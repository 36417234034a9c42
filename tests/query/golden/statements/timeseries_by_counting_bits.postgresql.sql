-- timeseries by counting bits, as in transactions_history
-- Parameters: none
SELECT
    s.label_1,
    CAST(coalesce(sum(s."transactions"), 0) AS bigint) AS "transactions",
    sum(s."net_amount") AS "net_amount",
    CAST(coalesce(sum(bit_count(s."members")), 0) AS bigint) AS "members"
FROM (
    SELECT
        r.bucket AS bucket,
        sum(r.sales) AS "transactions",
        sum(r.amount) AS "net_amount",
        bit_or(r.bitmap) AS "members"
    FROM (
        TABLE rows
    ) AS r
    GROUP BY 1, r.chunk
) AS s (label_1, "transactions", "net_amount", "members")
GROUP BY 1;

