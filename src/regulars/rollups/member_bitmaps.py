"""Exact numbers of distinct members over any range: the members counted in a day or a month are a bitmap.

A bitmap is stored by metric family, granularity (1d or 1mo), bucket, grain (the dimension whose values are separate, or
empty), value and chunk of member numbers: a row of `member_bitmaps` with 1024 bits. Bitmaps of several buckets are
combined by bit_or. A family adds members to them by compaction, removes members that have nothing left in a bucket, and
provides uncompacted members as bitmaps of the same form.
"""

GRANULARITIES = ("1d", "1mo")

CHUNK_SQL = "member_chunk({member})"
BITMAP_SQL = "bit_or(member_bit({member}))"


def add_sql(family: str, parts: str) -> str:
    """The body of a CTE that adds members to bitmaps.

    `parts` is a relation of granularity, bucket, grain, value, chunk and members: bitmaps, null if there is no member.
    """
    return f"""
    INSERT INTO member_bitmaps AS stored (community_id, family, granularity, grain, bucket, value, chunk, members)
    SELECT $1, '{family}', granularity, grain, bucket, value, chunk, bit_or(members)
    FROM {parts}
    WHERE members IS NOT NULL
    GROUP BY granularity, grain, bucket, value, chunk
    ON CONFLICT (community_id, family, granularity, grain, bucket, value, chunk) DO UPDATE
    SET members = stored.members | excluded.members
    -- Members that are in the bitmap already change nothing.
    WHERE (stored.members | excluded.members) <> stored.members
"""


def remove_sql(family: str, parts: str) -> str:
    """A statement that removes members from bitmaps, and deletes bitmaps that become empty.

    `parts` is a query of distinct granularity, bucket, grain, value and member_id.
    """
    return f"""
WITH removed AS MATERIALIZED (
    SELECT
        granularity, grain, bucket, value, member_chunk(member_id) AS chunk,
        bit_or(member_bit(member_id)) AS members
    FROM ({parts}) AS parts
    GROUP BY granularity, grain, bucket, value, member_chunk(member_id)
),
deleted AS (
    DELETE FROM member_bitmaps AS stored
    USING removed
    WHERE stored.community_id = $1 AND stored.family = '{family}'
      AND (stored.granularity, stored.grain, stored.bucket, stored.chunk)
          = (removed.granularity, removed.grain, removed.bucket, removed.chunk)
      AND stored.value IS NOT DISTINCT FROM removed.value
      AND stored.members & ~removed.members = CAST(0 AS bit(1024))
)
UPDATE member_bitmaps AS stored
SET members = stored.members & ~removed.members
FROM removed
WHERE stored.community_id = $1 AND stored.family = '{family}'
  AND (stored.granularity, stored.grain, stored.bucket, stored.chunk)
      = (removed.granularity, removed.grain, removed.bucket, removed.chunk)
  AND stored.value IS NOT DISTINCT FROM removed.value
  AND stored.members & ~removed.members <> CAST(0 AS bit(1024))
"""
