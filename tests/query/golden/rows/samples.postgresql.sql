-- Rows of samples
-- Parameters: community
SELECT t.*
FROM profiles AS p
CROSS JOIN LATERAL jsonb_to_record(p.properties) AS t (
    id bigint, name text, size text, points bigint, score numeric, spent bigint, share bigint, is_good boolean,
    day date, at timestamptz, marks bigint[], tags text[], consents_true text[], consents_false text[],
    properties jsonb
)
WHERE p.community_id = CAST($1 AS INT);

