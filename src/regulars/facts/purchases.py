"""Keeps purchases as reports count them: told in the transaction of the facts, added up by a fold."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from regulars.facts.fact_type import Compaction, FactType
from regulars.model.community import Community
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import member_bitmaps
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope

METRIC_FAMILY = "purchases"

BUYER_DIMENSIONS = ("dimension_frequency", "dimension_recency", "dimension_join")
"""The fields that are values of the buyer."""

ROLLUP_DIMENSIONS = ("location", "channel", *BUYER_DIMENSIONS, "gender", "age")
"""The fields whose values are added up apart, each by itself; so are brands."""

MIN_ROWS_TO_COMPACT = 5_000
"""What is told is folded in so large parts, for many purchases of a part share a day, a value and a set."""

MAX_UNCOMPACTED = 20_000
"""A process that has told so many folds them before it writes on."""

_told: dict[int, int] = {}

_RECORD = sql_files.load("regulars.facts", "purchases_record")
_VERIFY = sql_files.load("regulars.facts", "purchases_verify")


async def record(scope: Scope, community: Community, transaction_ids: Collection[int]) -> int:
    """Tells transactions anew, made, changed or taken away; gives how many were told otherwise before.

    The caller holds their locks since an earlier statement, and the values of their profiles are refreshed.
    """
    changed: int = await scope.fetchval(
        _RECORD,
        scope.community_id,
        sorted(transaction_ids),
        scope.now,
        community.timezone,
        community.currency,
        community.minor_digits,
    )
    return changed


async def apply_backpressure(database: Database, community_id: int, told: int, taken_back: int) -> None:
    """Keeps what is unfolded within bounds. What was told otherwise before is folded soon: where it was taken back,
    reads ask the purchases themselves who is counted.
    """
    if not told:
        return
    _told[community_id] = _told.get(community_id, 0) + (max(told, MIN_ROWS_TO_COMPACT) if taken_back else told)
    if _told[community_id] >= MAX_UNCOMPACTED:
        await compact(database, community_id, wait=True)


def pending_communities() -> list[int]:
    """The communities in which this process has told enough that a fold is worth it."""
    return [community_id for community_id, told in _told.items() if told >= MIN_ROWS_TO_COMPACT]


# What is added up --------------------------------------------------------------------------------------------

_COLUMNS = f"at, sales, amount, member_id, {', '.join(ROLLUP_DIMENSIONS)}, brands, brand_amounts"

# Once for each value that a purchase is counted under.
_PARTS = f"""
    VALUES
        ('', CAST(NULL AS text), CAST(p.amount AS numeric)),
        {", ".join(f"('{grain}', CAST(p.{grain} AS text), p.amount)" for grain in ROLLUP_DIMENSIONS)}
    UNION ALL
    SELECT 'brand', brand, brand_amount FROM unnest(p.brands, p.brand_amounts) AS line (brand, brand_amount)
"""

# As it was told by what had ended below the watermark $4; what came after it may have changed it since.
_BEFORE = f"""
    SELECT since, CAST(NULL AS xid8) AS until, {_COLUMNS}
    FROM purchases
    WHERE community_id = $1 AND counted AND since < $4::text::xid8
    UNION ALL
    SELECT since, until, {_COLUMNS}
    FROM purchase_changes
    WHERE community_id = $1 AND counted AND since < $4::text::xid8 AND until >= $4::text::xid8
"""

_TAKEN_BACK = f"""
    SELECT {_COLUMNS}
    FROM purchase_changes
    WHERE community_id = $1 AND counted
      AND since < $3::text::xid8 AND until >= $3::text::xid8 AND until < $4::text::xid8
"""

# What was told of community $1, by the clock of zone $2, by transactions from watermark $3 up to $4.
_FOLD = f"""
WITH sets AS MATERIALIZED (
    SELECT
        p.day, part.grain, part.value, p.chunk,
        sum(p.sign) AS purchases, sum(p.sign * p.sales) AS sales, sum(p.sign * part.amount) AS amount,
        count(*) AS moves, bit_or(p.members) AS members
    FROM (
        SELECT
            *, bucket_start(at, '1d', $2) AS day, member_chunk(member_id) AS chunk,
            CASE sign WHEN 1 THEN member_bit(member_id) END AS members
        FROM (
            SELECT 1 AS sign, {_COLUMNS}
            FROM purchases
            WHERE community_id = $1 AND counted AND since >= $3::text::xid8 AND since < $4::text::xid8
            UNION ALL
            SELECT 1, {_COLUMNS}
            FROM purchase_changes
            WHERE community_id = $1 AND counted
              AND since >= $3::text::xid8 AND since < $4::text::xid8 AND until >= $4::text::xid8
            UNION ALL
            SELECT -1, * FROM ({_TAKEN_BACK}) AS taken_back
        ) AS told
        -- Each bit is set once, and then shared by the fields.
        OFFSET 0
    ) AS p
    CROSS JOIN LATERAL ({_PARTS}) AS part (grain, value, amount)
    GROUP BY p.day, part.grain, part.value, p.chunk
),
placed AS MATERIALIZED (
    SELECT '1d' AS granularity, day AS bucket, grain, value, chunk, purchases, sales, amount, members
    FROM sets
    UNION ALL
    SELECT '1mo', bucket_start(day, '1mo', $2), grain, value, chunk, purchases, sales, amount, members
    FROM sets
),
rolled AS (
    INSERT INTO purchase_rollups AS kept (community_id, granularity, grain, bucket, value, purchases, sales, amount)
    SELECT $1, granularity, grain, bucket, value, sum(purchases), sum(sales), sum(amount)
    FROM placed
    GROUP BY granularity, grain, bucket, value
    HAVING sum(purchases) <> 0 OR sum(sales) <> 0 OR sum(amount) <> 0
    ON CONFLICT (community_id, granularity, grain, bucket, value) DO UPDATE
    SET purchases = kept.purchases + excluded.purchases,
        sales = kept.sales + excluded.sales,
        amount = kept.amount + excluded.amount
),
joined AS (
    {member_bitmaps.add_sql(METRIC_FAMILY, "placed")}
),
forgotten AS (
    DELETE FROM purchase_changes WHERE community_id = $1 AND until < $4::text::xid8
),
marked AS (
    INSERT INTO purchase_marks AS kept (community_id, watermark, timezone)
    VALUES ($1, $4::text::xid8, $2)
    ON CONFLICT (community_id) DO UPDATE
    SET watermark = excluded.watermark, timezone = excluded.timezone
)
SELECT coalesce(sum(moves), 0)::bigint FROM sets WHERE grain = ''
"""

# Who has no purchase left in a bucket where one was taken back.
_LEFT = member_bitmaps.remove_sql(
    METRIC_FAMILY,
    f"""
    -- Of community $1.
    SELECT DISTINCT lost.granularity, lost.bucket, lost.grain, lost.value, lost.member_id
    FROM (
        SELECT granularities.granularity, bucket_start(p.at, granularities.granularity, $2) AS bucket, part.grain, part.value, p.member_id
        FROM ({_TAKEN_BACK}) AS p
        CROSS JOIN (VALUES {", ".join(f"('{granularity}')" for granularity in member_bitmaps.GRANULARITIES)}) AS granularities (granularity)
        CROSS JOIN LATERAL ({_PARTS}) AS part (grain, value, amount)
        WHERE p.member_id IS NOT NULL
    ) AS lost
    WHERE NOT EXISTS (
        SELECT
        FROM ({_BEFORE}) AS p
        CROSS JOIN LATERAL ({_PARTS}) AS part (grain, value, amount)
        WHERE p.member_id = lost.member_id
          AND p.at >= lost.bucket AND p.at < lost.bucket + interval '33 days'
          AND part.grain = lost.grain
          AND part.value IS NOT DISTINCT FROM lost.value
          AND bucket_start(p.at, lost.granularity, $2) = lost.bucket
    )
    """,
)

_IS_TAKEN_BACK = """
SELECT EXISTS (
    SELECT
    FROM purchase_changes
    WHERE community_id = $1 AND counted
      AND since < $2::text::xid8 AND until >= $2::text::xid8 AND until < $3::text::xid8
)
"""

_DROP_EMPTY = "DELETE FROM purchase_rollups WHERE community_id = $1 AND purchases = 0"

_FORGET = (
    "DELETE FROM purchase_rollups WHERE community_id = $1",
    f"DELETE FROM unique_sets WHERE community_id = $1 AND family = '{METRIC_FAMILY}'",
)

_MARK = """
SELECT
    community.timezone,
    coalesce(mark.watermark, '0')::text AS since,
    pg_snapshot_xmin(pg_current_snapshot())::text AS until,
    mark.timezone AS folded_timezone
FROM communities AS community
LEFT JOIN purchase_marks AS mark ON mark.community_id = community.id
WHERE community.id = $1
"""

_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.fold_purchases'), $1)"
_WAIT = "SELECT pg_advisory_xact_lock(hashtext('regulars.fold_purchases'), $1)"


async def compact(database: Database, community_id: int, *, wait: bool = False) -> int:
    """Adds up what was told since the last time; gives of how many moves, 0 where another process is at it.

    All statements take the same: what transactions told that had ended when the first of them began.
    """
    _told.pop(community_id, None)
    async with database.write_transaction(community_id) as scope:
        if wait:
            await scope.fetchval(_WAIT, community_id)
        elif not await scope.fetchval(_ALONE, community_id):
            return 0
        mark = await scope.fetchrow(_MARK, community_id)
        zone, since, until = mark["timezone"], mark["since"], mark["until"]
        if mark["folded_timezone"] not in (None, zone):
            # By another clock all buckets are others.
            since = "0"
            for statement in _FORGET:
                await scope.execute(statement, community_id)
        is_taken_back = await scope.fetchval(_IS_TAKEN_BACK, community_id, since, until)
        if is_taken_back:
            await scope.execute(_LEFT, community_id, zone, since, until)
        moves: int = await scope.fetchval(_FOLD, community_id, zone, since, until)
        if is_taken_back:
            await scope.execute(_DROP_EMPTY, community_id)
    return moves


_LOCK_DUE = """
SELECT id
FROM transactions
WHERE community_id = $1
  AND id = ANY (ARRAY(
      SELECT id FROM purchases WHERE community_id = $1 AND since IS NULL AND at <= $2 ORDER BY at, id LIMIT 1000
  ))
ORDER BY id
FOR NO KEY UPDATE
"""

_TELL_DUE = """
UPDATE purchases
SET since = pg_current_xact_id()
WHERE community_id = $1 AND id = ANY ($2) AND since IS NULL AND at <= $3
"""


async def record_due(database: Database, community_id: int) -> int:
    """Tells purchases whose moment lay ahead and has come; gives how many. Reads count them by the clock anyway."""
    async with database.write_transaction(community_id) as scope:
        rows = await scope.fetch(_LOCK_DUE, community_id, scope.now)
        if rows:
            await scope.execute(_TELL_DUE, community_id, [row["id"] for row in rows], scope.now)
    return len(rows)


_IS_UNFOLDED = """
SELECT EXISTS (
    SELECT
    FROM purchases
    WHERE community_id = $1
      AND since >= coalesce((SELECT watermark FROM purchase_marks WHERE community_id = $1), '0')
) OR EXISTS (SELECT FROM purchase_changes WHERE community_id = $1)
"""


async def compact_pending(database: Database, community_id: int) -> int:
    """Tells what is due and folds what is left, whoever has told it; gives of how many moves."""
    while await record_due(database, community_id):
        pass
    async with database.read_transaction(community_id) as scope:
        is_unfolded = await scope.fetchval(_IS_UNFOLDED, community_id)
    return await compact(database, community_id) if is_unfolded else 0


async def repair(database: Database) -> int:
    """Has folds begin anew where the database was restored to lower transaction ids; gives for how many communities."""
    async with database.unscoped_connection() as connection:
        repaired: int = await connection.fetchval("SELECT repair_purchase_marks()")
    return repaired


async def _record(uow: UnitOfWork) -> None:
    if uow.changed_transactions:
        uow.purchases_recorded += len(uow.changed_transactions)
        uow.purchases_superseded += await record(uow, uow.community, uow.changed_transactions)


async def _apply_backpressure(database: Database, uow: UnitOfWork) -> None:
    if uow.load_id is None:
        await apply_backpressure(database, uow.community_id, uow.purchases_recorded, uow.purchases_superseded)


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
)
