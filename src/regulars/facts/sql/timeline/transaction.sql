-- The counted transactions of profile $2 of community $1 before the position of a cursor, latest first; $3 of them at most.
SELECT
    sale.transacted_at AS at, sale.id,
    CASE sale.direction WHEN 1 THEN 'purchase' WHEN -1 THEN 'return' ELSE 'transaction' END AS type,
    location.name AS title, sale.external_id, details.receipt_ref, sale.amount, sale.location_id,
    line.items_count, line.item_names
FROM (
    SELECT id, transacted_at, external_id, amount, direction, location_id
    FROM transactions
    WHERE community_id = $1 AND profile_id = $2 AND NOT is_void
      -- include: before
    ORDER BY transacted_at DESC, id DESC
    LIMIT $3
) AS sale
JOIN transactions AS details ON details.community_id = $1 AND details.id = sale.id
LEFT JOIN locations AS location ON location.community_id = $1 AND location.id = sale.location_id
CROSS JOIN LATERAL (
    SELECT count(*) AS items_count, (array_agg(name ORDER BY id) FILTER (WHERE name IS NOT NULL))[1:3] AS item_names
    FROM transaction_items
    WHERE community_id = $1 AND transaction_id = sale.id AND NOT is_void
) AS line
ORDER BY sale.transacted_at DESC, sale.id DESC
