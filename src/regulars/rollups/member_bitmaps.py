"""Exact numbers of different members over any range: who is counted in a day or a month is a set of bits.

A set is kept by family (what happened), granularity (1d or 1mo), bucket, grain (the field whose values are kept apart, or
empty), value and chunk of member numbers: a row of `unique_sets` of 1024 bits. Sets of several buckets are joined by
bit_or; a family adds to them what it folds, takes out who has nothing left there, and hands what is not folded yet to
a read as sets of its own, so that all of it is joined.
"""

GRANULARITIES = ("1d", "1mo")

CHUNK_SQL = "member_chunk({member})"
BITMAP_SQL = "bit_or(member_bit({member}))"


def add_sql(family: str, parts: str) -> str:
    """A statement's part that adds members to sets: `parts` is a relation of granularity, bucket, grain, value, chunk and
    members: sets of bits, null where there is nobody to add.
    """
    return f"""
    INSERT INTO unique_sets AS kept (community_id, family, granularity, grain, bucket, value, chunk, members)
    SELECT $1, '{family}', granularity, grain, bucket, value, chunk, bit_or(members)
    FROM {parts}
    WHERE members IS NOT NULL
    GROUP BY granularity, grain, bucket, value, chunk
    ON CONFLICT (community_id, family, granularity, grain, bucket, value, chunk) DO UPDATE
    SET members = kept.members | excluded.members
    -- Who is in it already moves nothing.
    WHERE (kept.members | excluded.members) <> kept.members
"""


def remove_sql(family: str, parts: str) -> str:
    """A statement that takes members out of sets, and drops sets that this leaves empty.

    `parts` is a query of granularity, bucket, grain, value, member_id, each once.
    """
    return f"""
WITH leaving AS MATERIALIZED (
    SELECT
        granularity, grain, bucket, value, member_chunk(member_id) AS chunk,
        bit_or(member_bit(member_id)) AS members
    FROM ({parts}) AS parts
    GROUP BY granularity, grain, bucket, value, member_chunk(member_id)
),
emptied AS (
    DELETE FROM unique_sets AS kept
    USING leaving
    WHERE kept.community_id = $1 AND kept.family = '{family}'
      AND (kept.granularity, kept.grain, kept.bucket, kept.chunk)
          = (leaving.granularity, leaving.grain, leaving.bucket, leaving.chunk)
      AND kept.value IS NOT DISTINCT FROM leaving.value
      AND kept.members & ~leaving.members = CAST(0 AS bit(1024))
)
UPDATE unique_sets AS kept
SET members = kept.members & ~leaving.members
FROM leaving
WHERE kept.community_id = $1 AND kept.family = '{family}'
  AND (kept.granularity, kept.grain, kept.bucket, kept.chunk)
      = (leaving.granularity, leaving.grain, leaving.bucket, leaving.chunk)
  AND kept.value IS NOT DISTINCT FROM leaving.value
  AND kept.members & ~leaving.members <> CAST(0 AS bit(1024))
"""
