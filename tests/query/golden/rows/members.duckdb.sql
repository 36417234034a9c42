-- Rows of members
-- Parameters: none
SELECT
  *
FROM members;

