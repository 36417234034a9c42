-- $1 the community: the counts of the groups that its members are in, as compacted.
INSERT INTO group_counts (community_id, grouping_type, grouping_value, members_count, updated_at)
SELECT $1, split_part(name, ':', 1), substr(name, 1 + position(':' IN name)), count(*), now()
FROM members
CROSS JOIN LATERAL unnest(groups) AS name
WHERE community_id = $1 AND is_member
GROUP BY name
