"""Exact numbers of distinct members over any range: the members counted in a day or a month are a bitmap.

A bitmap is stored by metric family, granularity (1d or 1mo), bucket, dimension (empty for all members), dimension value
and chunk of member ids: a row of `member_bitmaps` with 1024 bits. Bitmaps of several buckets are combined by bit_or. A
family adds members to them by compaction, removes members that have nothing left in a bucket, and provides uncompacted
members as bitmaps of the same form.
"""

GRANULARITIES = ("1d", "1mo")

CHUNK_SQL = "bitmap_chunk({member})"


def add_sql(family: str, parts: str) -> str:
    """The body of a CTE that adds members to bitmaps.

    `parts` is a relation of granularity, bucket, dimension, dimension_value, chunk and bitmap, which is null if there
    is no member.
    """
    return f"""
    INSERT INTO member_bitmaps AS stored (
        community_id, metric_family, granularity, dimension, bucket, dimension_value, chunk, bitmap
    )
    SELECT $1, '{family}', granularity, dimension, bucket, dimension_value, chunk, bit_or(bitmap)
    FROM {parts}
    WHERE bitmap IS NOT NULL
    GROUP BY granularity, dimension, bucket, dimension_value, chunk
    ON CONFLICT (community_id, metric_family, granularity, dimension, bucket, dimension_value, chunk) DO UPDATE
    SET bitmap = stored.bitmap | excluded.bitmap
    -- Members that are in the bitmap already change nothing.
    WHERE (stored.bitmap | excluded.bitmap) <> stored.bitmap
"""


def remove_sql(family: str, parts: str) -> str:
    """A statement that removes members from bitmaps, and deletes bitmaps that become empty.

    `parts` is a query of distinct granularity, bucket, dimension, dimension_value and member_id.
    """
    return f"""
WITH removed AS MATERIALIZED (
    SELECT
        granularity, dimension, bucket, dimension_value, bitmap_chunk(member_id) AS chunk,
        bit_or(bitmap_bit(member_id)) AS bitmap
    FROM ({parts}) AS parts
    GROUP BY granularity, dimension, bucket, dimension_value, bitmap_chunk(member_id)
),
deleted AS (
    DELETE FROM member_bitmaps AS stored
    USING removed
    WHERE stored.community_id = $1 AND stored.metric_family = '{family}'
      AND (stored.granularity, stored.dimension, stored.bucket, stored.chunk)
          = (removed.granularity, removed.dimension, removed.bucket, removed.chunk)
      AND stored.dimension_value IS NOT DISTINCT FROM removed.dimension_value
      AND stored.bitmap & ~removed.bitmap = CAST(0 AS bit(1024))
)
UPDATE member_bitmaps AS stored
SET bitmap = stored.bitmap & ~removed.bitmap
FROM removed
WHERE stored.community_id = $1 AND stored.metric_family = '{family}'
  AND (stored.granularity, stored.dimension, stored.bucket, stored.chunk)
      = (removed.granularity, removed.dimension, removed.bucket, removed.chunk)
  AND stored.dimension_value IS NOT DISTINCT FROM removed.dimension_value
  AND stored.bitmap & ~removed.bitmap <> CAST(0 AS bit(1024))
"""
