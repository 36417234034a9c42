-- The visits of links by profile $2 of community $1 before the position of a cursor, latest first; $3 of them at most.
SELECT
    visit.visited_at AS at, visit.visit_key_hash, 'visit' AS type, link.host || link.path AS title,
    link.id AS link_id, link.source_type, link.sending_id, link.offer_external_id
FROM (
    SELECT visited_at, visit_key_hash, link_id
    FROM link_visits
    WHERE community_id = $1
      AND visitor_no = (SELECT visitor_no FROM link_visitors WHERE community_id = $1 AND visitor_hash = $2)
      -- include: before
    ORDER BY visited_at DESC, visit_key_hash DESC
    LIMIT $3
) AS visit
JOIN links AS link ON link.community_id = $1 AND link.id = visit.link_id
ORDER BY visit.visited_at DESC, visit.visit_key_hash DESC
