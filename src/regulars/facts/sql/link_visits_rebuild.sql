-- Builds the rollups of all links of community $1 from their visits, by the clock of time zone $2: of the granularities
-- $3, each from the bucket $4 on, in segments of $5 visits. An earlier statement deleted the existing rollups.
WITH visits AS MATERIALIZED (
    SELECT link_id, visitor_no, bucket_start(visited_at, '5m', $2) AS bucket
    FROM link_visits
    WHERE community_id = $1
    OFFSET 0
),
-- include: buckets
INSERT INTO link_rollups (link_id, bucket, community_id, segment_no, visits, granularity, visitor_nos)
SELECT
    link_id, bucket, $1, bucket_index / $5::int, count(*), granularity,
    coalesce(string_agg(int4send(visitor_no), ''), '')
FROM (
    SELECT
        v.link_id, b.granularity, b.bucket, v.visitor_no,
        row_number() OVER (PARTITION BY v.link_id, b.granularity, b.bucket) - 1 AS bucket_index
    FROM visits AS v
    JOIN buckets AS b ON b.base_bucket = v.bucket
) AS bucketed_visits
GROUP BY granularity, link_id, bucket, bucket_index / $5::int
