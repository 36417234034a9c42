-- Rows of samples_history
-- Parameters: starts, ends, community
SELECT b.bucket, t.*
FROM profiles AS p
CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
    id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
    day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
    properties jsonb
)
JOIN unnest(CAST($1 AS TIMESTAMPTZ[]), CAST($2 AS TIMESTAMPTZ[])) AS b (bucket, ends) ON p.created_at >= b.bucket AND p.created_at < b.ends
WHERE p.community_id = CAST($3 AS INT);

