-- Makes the visits of visitors $2 of community $1 those of visitors $3, or deletes them (0), and updates the rollups of
-- the granularities $4 that contain them. Returns the links. An earlier statement locked the community's visits.
WITH changes AS MATERIALIZED (
    SELECT visitor_no, nullif(new_visitor_no, 0) AS new_visitor_no, new_visitor_no = 0 AS is_deleted
    FROM unnest($2::int[], $3::int[]) AS changes (visitor_no, new_visitor_no)
),
affected_buckets AS MATERIALIZED (
    SELECT DISTINCT link_id, granularity, bucket
    FROM (
        SELECT
            v.link_id, granularities.granularity,
            bucket_start(v.visited_at, granularities.granularity, community.timezone) AS bucket
        FROM link_visits AS v
        CROSS JOIN (SELECT timezone FROM communities WHERE id = $1) AS community
        CROSS JOIN unnest($4::text[]) AS granularities (granularity)
        WHERE v.community_id = $1 AND v.visitor_no = ANY ($2::int[])
        OFFSET 0
    ) AS bucketed
),
new_segments AS MATERIALIZED (
    SELECT
        s.granularity, s.link_id, s.bucket, s.segment_no,
        s.visits - count(*) FILTER (WHERE c.is_deleted) AS visits,
        coalesce(
            string_agg(int4send(coalesce(c.new_visitor_no, n.visitor_no)), '') FILTER (WHERE c.is_deleted IS NOT TRUE),
            ''
        ) AS visitor_nos
    FROM affected_buckets AS b
    CROSS JOIN LATERAL (
        SELECT *
        FROM link_rollups AS r
        WHERE r.community_id = $1 AND r.granularity = b.granularity AND r.link_id = b.link_id AND r.bucket = b.bucket
          -- The four bytes may also match across two numbers: then the segment stays as it is.
          AND EXISTS (SELECT FROM changes WHERE position(int4send(visitor_no) IN r.visitor_nos) > 0)
        OFFSET 0
    ) AS s
    CROSS JOIN LATERAL visitor_numbers(s.visitor_nos) AS n (visitor_no)
    LEFT JOIN changes AS c ON c.visitor_no = n.visitor_no
    GROUP BY s.granularity, s.link_id, s.bucket, s.segment_no, s.visits
),
updated_rollups AS (
    UPDATE link_rollups AS stored
    SET visits = segments.visits,
        visitor_nos = segments.visitor_nos
    FROM new_segments AS segments
    WHERE stored.community_id = $1 AND stored.granularity = segments.granularity
      AND stored.link_id = segments.link_id AND stored.bucket = segments.bucket
      AND stored.segment_no = segments.segment_no AND segments.visits > 0
),
deleted_rollups AS (
    DELETE FROM link_rollups AS stored
    USING new_segments AS segments
    WHERE stored.community_id = $1 AND stored.granularity = segments.granularity
      AND stored.link_id = segments.link_id AND stored.bucket = segments.bucket
      AND stored.segment_no = segments.segment_no AND segments.visits = 0
),
updated_visits AS (
    UPDATE link_visits AS stored
    SET visitor_no = changes.new_visitor_no
    FROM changes
    WHERE stored.community_id = $1 AND stored.visitor_no = changes.visitor_no AND NOT changes.is_deleted
),
deleted_visits AS (
    DELETE FROM link_visits AS stored
    USING changes
    WHERE stored.community_id = $1 AND stored.visitor_no = changes.visitor_no AND changes.is_deleted
),
deleted_visitors AS (
    DELETE FROM link_visitors WHERE community_id = $1 AND visitor_no = ANY ($2::int[])
)
SELECT DISTINCT link_id FROM affected_buckets
