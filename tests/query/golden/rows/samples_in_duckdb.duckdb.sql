-- Rows of samples_in_duckdb
-- Parameters: community
SELECT
  *
FROM samples
WHERE
  community_id = CAST($1 AS INT);

