-- Stores visits of links of community $1 and adds them to the rollups. The visits are arrays of hashes of visit ids $2,
-- links $3, timestamps $4, hashes of visitors $5 (the nil UUID for an unknown visitor) and whether the visitor is a
-- profile $6. Rollups have the granularities $7, each from the bucket $8 on (null: all), in segments of $9 visits.
-- Returns the row numbers, from 1, of the visits that are new.
--
-- An earlier statement locked the community's visits.
WITH
-- include: community
-- include: input
-- The visits that are not stored yet, each once.
new_visits AS MATERIALIZED (
    SELECT DISTINCT ON (i.visit_key_hash) i.*
    FROM input AS i
    LEFT JOIN LATERAL (
        SELECT TRUE AS is_stored FROM link_visits WHERE community_id = $1 AND visit_key_hash = i.visit_key_hash OFFSET 0
    ) AS stored ON TRUE
    WHERE stored.is_stored IS NULL
    ORDER BY i.visit_key_hash, i.row_no
),
-- The visitors with their numbers, null for those that visit for the first time.
visitors AS MATERIALIZED (
    SELECT named.visitor_hash, named.is_profile, named.row_no, v.visitor_no
    FROM (
        SELECT visitor_hash, is_profile, min(row_no) AS row_no
        FROM new_visits
        WHERE visitor_hash IS NOT NULL
        GROUP BY visitor_hash, is_profile
    ) AS named
    LEFT JOIN LATERAL (
        SELECT visitor_no FROM link_visitors WHERE community_id = $1 AND visitor_hash = named.visitor_hash OFFSET 0
    ) AS v ON TRUE
),
new_visitors AS MATERIALIZED (
    SELECT
        visitor_hash, is_profile,
        CAST(last.visitor_no + row_number() OVER (ORDER BY row_no) AS int) AS visitor_no
    FROM visitors
    CROSS JOIN (
        SELECT coalesce(max(visitor_no), 0) AS visitor_no FROM link_visitors WHERE community_id = $1
    ) AS last
    WHERE visitors.visitor_no IS NULL
),
inserted_visitors AS (
    INSERT INTO link_visitors (community_id, visitor_hash, visitor_no, is_profile)
    SELECT $1, visitor_hash, visitor_no, is_profile
    FROM new_visitors
),
numbered_visits AS MATERIALIZED (
    SELECT
        v.visit_key_hash, v.link_id, v.visited_at, v.row_no, numbers.visitor_no,
        bucket_start(v.visited_at, '5m', community.timezone) AS bucket
    FROM new_visits AS v
    CROSS JOIN community
    LEFT JOIN (
        SELECT visitor_hash, visitor_no FROM visitors WHERE visitor_no IS NOT NULL
        UNION ALL
        SELECT visitor_hash, visitor_no FROM new_visitors
    ) AS numbers ON numbers.visitor_hash = v.visitor_hash
),
inserted_visits AS (
    INSERT INTO link_visits (link_id, visited_at, visit_key_hash, community_id, visitor_no)
    SELECT link_id, visited_at, visit_key_hash, $1, visitor_no
    FROM numbered_visits
),
-- include: buckets
bucketed_visits AS MATERIALIZED (
    SELECT
        v.link_id, b.granularity, b.bucket, v.visitor_no,
        row_number() OVER (PARTITION BY v.link_id, b.granularity, b.bucket) - 1 AS bucket_index
    FROM numbered_visits AS v
    JOIN buckets AS b ON b.base_bucket = v.bucket
),
-- The last segment of each bucket, which is filled before the next one begins.
last_segments AS MATERIALIZED (
    SELECT
        v.link_id, v.granularity, v.bucket, coalesce(last.segment_no, 0) AS segment_no,
        coalesce(last.visits, 0) AS visits
    FROM bucketed_visits AS v
    LEFT JOIN LATERAL (
        SELECT segment_no, visits
        FROM link_rollups
        WHERE community_id = $1 AND granularity = v.granularity AND link_id = v.link_id AND bucket = v.bucket
        ORDER BY segment_no DESC
        LIMIT 1
    ) AS last ON TRUE
    WHERE v.bucket_index = 0
),
updated_rollups AS (
    INSERT INTO link_rollups AS stored (link_id, bucket, community_id, segment_no, visits, granularity, visitor_nos)
    SELECT
        v.link_id, v.bucket, $1, s.segment_no + (s.visits + v.bucket_index) / $9::int AS segment_no, count(*),
        v.granularity, coalesce(string_agg(int4send(v.visitor_no), ''), '')
    FROM bucketed_visits AS v
    JOIN last_segments AS s ON s.link_id = v.link_id AND s.granularity = v.granularity AND s.bucket = v.bucket
    GROUP BY v.link_id, v.granularity, v.bucket, s.segment_no + (s.visits + v.bucket_index) / $9::int
    ON CONFLICT (community_id, granularity, link_id, bucket, segment_no) DO UPDATE
    SET visits = stored.visits + excluded.visits,
        visitor_nos = stored.visitor_nos || excluded.visitor_nos
)
SELECT row_no FROM numbered_visits
