-- $1 the community, $2 how many: rows that a commit of now has appended for its groups.
INSERT INTO group_count_deltas (community_id, bucket, grouping_type, grouping_value, delta, changed_at)
SELECT $1, date_bin('5 minutes', now(), '2000-01-01'), 'group_id', (1 + n % 300)::text, 1, now()
FROM generate_series(1, $2::int) AS n
