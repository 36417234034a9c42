-- The joins and leaves of profile $2 of community $1 before the position of a cursor, latest first; $3 of them at most.
SELECT occurred_at AS at, id, CASE type WHEN 'in' THEN 'joined' ELSE 'left' END AS type, optin_channel, optin_subchannel
FROM memberships
WHERE community_id = $1 AND profile_id = $2 AND is_effective
  -- include: before
ORDER BY occurred_at DESC, id DESC
LIMIT $3
