"""Purchases: transactions as reports count them, recorded in the transaction of the facts and added
up by compaction.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from regulars.facts.fact_type import Compaction, FactMetric, FactType
from regulars.model.community import Community
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import member_bitmaps
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope

METRIC_FAMILY = "purchases"

BUYER_DIMENSIONS = ("dimension_frequency", "dimension_recency", "dimension_join")
"""The dimensions that are values of the buyer."""

ROLLUP_DIMENSIONS = ("location", "channel", *BUYER_DIMENSIONS, "gender", "age")
"""The fields whose values are added up apart, each by itself; so are brands."""

MIN_ROWS_TO_COMPACT = 5_000
"""Purchases are compacted in batches of at least this size, because many of a batch share a day, a
value and a bitmap.
"""

MAX_UNCOMPACTED = 20_000
"""A process that has recorded this many purchases compacts them before its next write."""

_recorded: dict[int, int] = {}

_RECORD = sql_files.load("regulars.facts", "purchases_record")
_RECORD_NEW = sql_files.load("regulars.facts", "purchases_record_new")
_VERIFY = sql_files.load("regulars.facts", "purchases_verify")


async def record(scope: Scope, community: Community, transaction_ids: Collection[int]) -> int:
    """Records transactions that were created, changed or deleted; returns how many were recorded differently before.

    The caller holds their locks since an earlier statement, and the values of their profiles are refreshed.
    """
    changed: int = await scope.fetchval(_RECORD, *_parameters(scope, community, transaction_ids))
    return changed


async def record_new(scope: Scope, community: Community, transaction_ids: Collection[int]) -> None:
    """Records transactions that this database transaction has created, as `record` does but for less."""
    await scope.execute(_RECORD_NEW, *_parameters(scope, community, transaction_ids))


def _parameters(scope: Scope, community: Community, transaction_ids: Collection[int]) -> tuple[object, ...]:
    return (
        scope.community_id,
        sorted(transaction_ids),
        scope.now,
        community.timezone,
        community.currency,
        community.minor_digits,
    )


async def apply_backpressure(database: Database, community_id: int, recorded: int, superseded: int) -> None:
    """Limits the number of uncompacted purchases. Superseded versions are compacted soon, because until then reads
    count the members of their buckets from the purchases themselves.
    """
    if not recorded:
        return
    _recorded[community_id] = _recorded.get(community_id, 0) + (
        max(recorded, MIN_ROWS_TO_COMPACT) if superseded else recorded
    )
    if _recorded[community_id] >= MAX_UNCOMPACTED:
        await compact(database, community_id, wait=True)


def pending_communities() -> list[int]:
    """The communities in which this process has recorded enough purchases to compact."""
    return [community_id for community_id, count in _recorded.items() if count >= MIN_ROWS_TO_COMPACT]


# Compaction --------------------------------------------------------------------------------------------

_COLUMNS = f"purchased_at, sales, amount, member_id, {', '.join(ROLLUP_DIMENSIONS)}, brands, brand_amounts"

# One row for each value under which a purchase is counted.
_VALUES = f"""
    VALUES
        ('', CAST(NULL AS text), CAST(p.amount AS numeric)),
        {", ".join(f"('{dimension}', CAST(p.{dimension} AS text), p.amount)" for dimension in ROLLUP_DIMENSIONS)}
    UNION ALL
    SELECT 'brand', brand, brand_amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, brand_amount)
"""

# Purchases as recorded below the watermark $4; transactions above it may have changed them since.
_COMPACTED = f"""
    SELECT recorded_xid, CAST(NULL AS xid8) AS superseded_xid, {_COLUMNS}
    FROM purchases
    WHERE community_id = $1 AND is_counted AND recorded_xid < $4::text::xid8
    UNION ALL
    SELECT recorded_xid, superseded_xid, {_COLUMNS}
    FROM purchase_versions
    WHERE community_id = $1 AND is_counted AND recorded_xid < $4::text::xid8 AND superseded_xid >= $4::text::xid8
"""

_SUPERSEDED = f"""
    SELECT {_COLUMNS}
    FROM purchase_versions
    WHERE community_id = $1 AND is_counted
      AND recorded_xid < $3::text::xid8 AND superseded_xid >= $3::text::xid8 AND superseded_xid < $4::text::xid8
"""

# Adds what transactions from watermark $3 up to $4 recorded in community $1, by the clock of time zone $2.
_COMPACT = f"""
WITH rollup_deltas AS MATERIALIZED (
    SELECT
        p.day, part.dimension, part.dimension_value, p.chunk,
        sum(p.sign) AS purchases, sum(p.sign * p.sales) AS sales, sum(p.sign * part.amount) AS amount,
        count(*) AS changes, bit_or(p.bitmap) AS bitmap
    FROM (
        SELECT
            *, bucket_start(purchased_at, '1d', $2) AS day, bitmap_chunk(member_id) AS chunk,
            CASE sign WHEN 1 THEN bitmap_bit(member_id) END AS bitmap
        FROM (
            SELECT 1 AS sign, {_COLUMNS}
            FROM purchases
            WHERE community_id = $1 AND is_counted AND recorded_xid >= $3::text::xid8 AND recorded_xid < $4::text::xid8
            UNION ALL
            SELECT 1, {_COLUMNS}
            FROM purchase_versions
            WHERE community_id = $1 AND is_counted
              AND recorded_xid >= $3::text::xid8 AND recorded_xid < $4::text::xid8 AND superseded_xid >= $4::text::xid8
            UNION ALL
            SELECT -1, * FROM ({_SUPERSEDED}) AS superseded
        ) AS versions
        -- Each bit is set once, and then used for all dimensions.
        OFFSET 0
    ) AS p
    CROSS JOIN LATERAL ({_VALUES}) AS part (dimension, dimension_value, amount)
    GROUP BY p.day, part.dimension, part.dimension_value, p.chunk
),
deltas_by_granularity AS MATERIALIZED (
    SELECT '1d' AS granularity, day AS bucket, dimension, dimension_value, chunk, purchases, sales, amount, bitmap
    FROM rollup_deltas
    UNION ALL
    SELECT '1mo', bucket_start(day, '1mo', $2), dimension, dimension_value, chunk, purchases, sales, amount, bitmap
    FROM rollup_deltas
),
updated_rollups AS (
    INSERT INTO purchase_rollups AS stored (
        community_id, granularity, dimension, bucket, dimension_value, purchases, sales, amount
    )
    SELECT $1, granularity, dimension, bucket, dimension_value, sum(purchases), sum(sales), sum(amount)
    FROM deltas_by_granularity
    GROUP BY granularity, dimension, bucket, dimension_value
    HAVING sum(purchases) <> 0 OR sum(sales) <> 0 OR sum(amount) <> 0
    ON CONFLICT (community_id, granularity, dimension, bucket, dimension_value) DO UPDATE
    SET purchases = stored.purchases + excluded.purchases,
        sales = stored.sales + excluded.sales,
        amount = stored.amount + excluded.amount
),
updated_bitmaps AS (
    {member_bitmaps.add_sql(METRIC_FAMILY, "deltas_by_granularity")}
),
deleted_versions AS (
    DELETE FROM purchase_versions WHERE community_id = $1 AND superseded_xid < $4::text::xid8
),
updated_state AS (
    INSERT INTO purchase_compaction_state AS stored (community_id, watermark, timezone)
    VALUES ($1, $4::text::xid8, $2)
    ON CONFLICT (community_id) DO UPDATE
    SET watermark = excluded.watermark, timezone = excluded.timezone
)
SELECT coalesce(sum(changes), 0)::bigint FROM rollup_deltas WHERE dimension = ''
"""

# Members without any purchase left in a bucket in which one was superseded.
_REMOVE_MEMBERS = member_bitmaps.remove_sql(
    METRIC_FAMILY,
    f"""
    -- Of community $1.
    SELECT DISTINCT lost.granularity, lost.bucket, lost.dimension, lost.dimension_value, lost.member_id
    FROM (
        SELECT
            granularities.granularity, bucket_start(p.purchased_at, granularities.granularity, $2) AS bucket,
            part.dimension, part.dimension_value, p.member_id
        FROM ({_SUPERSEDED}) AS p
        CROSS JOIN unnest(ARRAY{list(member_bitmaps.GRANULARITIES)}) AS granularities (granularity)
        CROSS JOIN LATERAL ({_VALUES}) AS part (dimension, dimension_value, amount)
        WHERE p.member_id IS NOT NULL
    ) AS lost
    WHERE NOT EXISTS (
        SELECT
        FROM ({_COMPACTED}) AS p
        CROSS JOIN LATERAL ({_VALUES}) AS part (dimension, dimension_value, amount)
        WHERE p.member_id = lost.member_id
          AND p.purchased_at >= lost.bucket AND p.purchased_at < lost.bucket + interval '33 days'
          AND part.dimension = lost.dimension
          AND part.dimension_value IS NOT DISTINCT FROM lost.dimension_value
          AND bucket_start(p.purchased_at, lost.granularity, $2) = lost.bucket
    )
    """,
)

_HAS_SUPERSEDED = """
SELECT EXISTS (
    SELECT
    FROM purchase_versions
    WHERE community_id = $1 AND is_counted
      AND recorded_xid < $2::text::xid8 AND superseded_xid >= $2::text::xid8 AND superseded_xid < $3::text::xid8
)
"""

_DELETE_EMPTY = "DELETE FROM purchase_rollups WHERE community_id = $1 AND purchases = 0"

_DELETE_ALL = (
    "DELETE FROM purchase_rollups WHERE community_id = $1",
    f"DELETE FROM member_bitmaps WHERE community_id = $1 AND metric_family = '{METRIC_FAMILY}'",
)

_SELECT_STATE = """
SELECT
    community.timezone,
    coalesce(state.watermark, '0')::text AS from_xid,
    pg_snapshot_xmin(pg_current_snapshot())::text AS to_xid,
    state.timezone AS compacted_timezone
FROM communities AS community
LEFT JOIN purchase_compaction_state AS state ON state.community_id = community.id
WHERE community.id = $1
"""

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.compact_purchases'), $1)"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('regulars.compact_purchases'), $1)"


async def compact(database: Database, community_id: int, *, wait: bool = False) -> int:
    """Compacts a community; returns the number of changes, 0 if another process is compacting it.

    All statements use the same set: what was recorded by transactions that had ended when the first of them began.
    """
    _recorded.pop(community_id, None)
    async with database.write_transaction(community_id) as scope:
        if wait:
            await scope.fetchval(_LOCK, community_id)
        elif not await scope.fetchval(_TRY_LOCK, community_id):
            return 0
        state = await scope.fetchrow(_SELECT_STATE, community_id)
        timezone, from_xid, to_xid = state["timezone"], state["from_xid"], state["to_xid"]
        if state["compacted_timezone"] not in (None, timezone):
            # In another time zone all buckets are different.
            from_xid = "0"
            for statement in _DELETE_ALL:
                await scope.execute(statement, community_id)
        has_superseded = await scope.fetchval(_HAS_SUPERSEDED, community_id, from_xid, to_xid)
        if has_superseded:
            await scope.execute(_REMOVE_MEMBERS, community_id, timezone, from_xid, to_xid)
        changes: int = await scope.fetchval(_COMPACT, community_id, timezone, from_xid, to_xid)
        if has_superseded:
            await scope.execute(_DELETE_EMPTY, community_id)
    return changes


_LOCK_DUE = """
SELECT id
FROM transactions
WHERE community_id = $1
  AND id = ANY (ARRAY(
      SELECT id
      FROM purchases
      WHERE community_id = $1 AND recorded_xid IS NULL AND purchased_at <= $2
      ORDER BY purchased_at, id
      LIMIT 1000
  ))
ORDER BY id
FOR NO KEY UPDATE
"""

_RECORD_DUE = """
UPDATE purchases
SET recorded_xid = pg_current_xact_id()
WHERE community_id = $1 AND id = ANY ($2) AND recorded_xid IS NULL AND purchased_at <= $3
"""


async def record_due(database: Database, community_id: int) -> int:
    """Records purchases of which the time, once in the future, has come; returns how many. Reads count them anyway."""
    async with database.write_transaction(community_id) as scope:
        rows = await scope.fetch(_LOCK_DUE, community_id, scope.now)
        if rows:
            await scope.execute(_RECORD_DUE, community_id, [row["id"] for row in rows], scope.now)
    return len(rows)


_HAS_UNCOMPACTED = """
SELECT EXISTS (
    SELECT
    FROM purchases
    WHERE community_id = $1
      AND recorded_xid >= coalesce((SELECT watermark FROM purchase_compaction_state WHERE community_id = $1), '0')
) OR EXISTS (SELECT FROM purchase_versions WHERE community_id = $1)
"""


async def compact_pending(database: Database, community_id: int) -> int:
    """Records due purchases, and compacts what any process has recorded; returns the number of changes."""
    while await record_due(database, community_id):
        pass
    async with database.read_transaction(community_id) as scope:
        has_uncompacted = await scope.fetchval(_HAS_UNCOMPACTED, community_id)
    return await compact(database, community_id) if has_uncompacted else 0


async def repair(database: Database) -> int:
    """Resets compaction after a restore to lower transaction ids; returns for how many communities."""
    async with database.unscoped_connection() as connection:
        repaired: int = await connection.fetchval("SELECT reset_purchase_compaction()")
    return repaired


async def _record(uow: UnitOfWork) -> None:
    uow.purchases_recorded += len(uow.changed_transactions)
    if uow.new_transactions:
        await record_new(uow, uow.community, uow.new_transactions)
    if changed := uow.changed_transactions - uow.new_transactions:
        uow.purchases_superseded += await record(uow, uow.community, changed)


async def _apply_backpressure(database: Database, uow: UnitOfWork) -> None:
    if uow.load_id is None:
        await apply_backpressure(database, uow.community_id, uow.purchases_recorded, uow.purchases_superseded)


_COUNT_UNCOMPACTED = """
SELECT count(*)
FROM purchases
WHERE community_id = $1
  AND recorded_xid >= coalesce((SELECT watermark FROM purchase_compaction_state WHERE community_id = $1), '0')
"""


async def _count_uncompacted(scope: Scope) -> int:
    count: int = await scope.fetchval(_COUNT_UNCOMPACTED, scope.community_id)
    return count


async def _verify(scope: Scope, as_of: datetime | None) -> Sequence[Any]:
    return await scope.fetch(_VERIFY, scope.community_id)


PURCHASES = FactType(
    name="purchases",
    description="Transactions as reports count them, with the buyer as of the purchase; derived from transactions.",
    record=_record,
    compaction=Compaction(
        pending_communities=pending_communities,
        compact=compact,
        compact_pending=compact_pending,
        apply_backpressure=_apply_backpressure,
        repair=repair,
    ),
    verify=_verify,
    metrics=(
        FactMetric(
            "regulars_uncompacted_purchases",
            "Purchases that compaction has not added to rollups yet.",
            _count_uncompacted,
        ),
    ),
)
