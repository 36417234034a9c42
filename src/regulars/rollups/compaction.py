"""Compaction of member deltas: adds what commits append to counts and rollups, one process per community at a time.

Reads add stored counts and uncompacted deltas.
"""

from functools import partial

from regulars.rollups import partitions, snapshots, timezones
from regulars.rollups.intervals import ALL_INTERVALS
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope

MAX_UNCOMPACTED = 20_000
"""A process that has appended this many deltas compacts them before its next write."""

_COMPACT = sql_files.load("regulars.rollups", "member_deltas_compact")

_REBUILD = sql_files.load("regulars.rollups", "member_rollups_rebuild")

_SELECT_TIMEZONE = """
SELECT c.timezone, coalesce(f.timezone <> c.timezone, FALSE) AS is_changed
FROM communities AS c
LEFT JOIN compaction_state AS f ON f.community_id = c.id
WHERE c.id = $1
"""

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.compaction'), $1)"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('regulars.compaction'), $1)"

_HAS_DELTAS = """
SELECT EXISTS (
    SELECT FROM {table}
    WHERE community_id = $1
      AND recorded_xid >= coalesce((SELECT watermark FROM compaction_state WHERE community_id = $1), '0')
)
"""

DELTA_TABLES = ("group_count_deltas", "member_flow_deltas")

_COUNT_DELTAS = """
SELECT
    (SELECT count(*) FROM group_count_deltas WHERE community_id = $1 AND recorded_xid >= state.watermark)
    + (SELECT count(*) FROM member_flow_deltas WHERE community_id = $1 AND recorded_xid >= state.watermark)
FROM (
    SELECT coalesce((SELECT watermark FROM compaction_state WHERE community_id = $1), '0') AS watermark
) AS state
"""

_appended: dict[int, int] = {}


def pending_communities() -> list[int]:
    """The communities to which this process has appended deltas since it last compacted them."""
    return list(_appended)


async def compact(database: Database, community_id: int) -> int:
    """Compacts a community; returns the number of deltas, 0 if another process is compacting it."""
    _appended.pop(community_id, None)
    return await _compact(database, community_id, wait=False)


async def apply_backpressure(database: Database, community_id: int, deltas: int) -> None:
    """Limits the number of deltas: after a writer has appended many, its next write waits for a compaction."""
    if not deltas:
        return
    _appended[community_id] = _appended.get(community_id, 0) + deltas
    if _appended[community_id] >= MAX_UNCOMPACTED:
        del _appended[community_id]
        await _compact(database, community_id, wait=True)


async def repair(database: Database) -> int:
    """Resets watermarks after a restore to lower transaction ids; returns for how many communities."""
    async with database.unscoped_connection() as connection:
        repaired: int = await connection.fetchval("SELECT reset_compaction_state()")
    return repaired


async def _compact(database: Database, community_id: int, *, wait: bool) -> int:
    return await partitions.with_partitions(database, partial(_compact_once, database, community_id, wait=wait))


async def _compact_once(database: Database, community_id: int, *, wait: bool) -> int:
    async with database.write_transaction(community_id) as scope:
        if wait:
            await scope.fetchval(_LOCK, community_id)
        elif not await scope.fetchval(_TRY_LOCK, community_id):
            return 0
        return await compact_in_transaction(scope)


async def compact_in_transaction(scope: Scope) -> int:
    """Compacts within a transaction of which an earlier statement took the lock.

    If the community's time zone has changed, all buckets are rebuilt first.
    """
    current = await scope.fetchrow(_SELECT_TIMEZONE, scope.community_id)
    if current["is_changed"]:
        await _rebuild(scope, current["timezone"])
    deltas: int = await scope.fetchval(
        _COMPACT,
        scope.community_id,
        current["timezone"],
        [interval.code for interval in ALL_INTERVALS],
        partitions.retention_starts(scope.now),
    )
    return deltas


async def lock(scope: Scope) -> str | None:
    """Locks counts and rollups until the end of the transaction, for a writer that updates them itself.

    Returns the time zone of the buckets; None if the time zone had changed: then the buckets are rebuilt here from all
    stored events of members, and nothing is to be added.
    """
    await scope.fetchval(_LOCK, scope.community_id)
    current = await scope.fetchrow(_SELECT_TIMEZONE, scope.community_id)
    if current["is_changed"]:
        await compact_in_transaction(scope)
        return None
    return await timezones.ensure_of_members(scope)


async def _rebuild(scope: Scope, timezone: str) -> None:
    await snapshots.lock(scope)
    await scope.execute(_REBUILD, scope.community_id, timezone)
    await snapshots.rebuild(scope, timezone)


async def compact_pending(database: Database, community_id: int) -> int:
    """Compacts the deltas that other processes left; returns their number."""
    async with database.read_transaction(community_id) as scope:
        current = await scope.fetchrow(_SELECT_TIMEZONE, community_id)
        found = [await scope.fetchval(_HAS_DELTAS.format(table=table), community_id) for table in DELTA_TABLES]
    return await compact(database, community_id) if current["is_changed"] or any(found) else 0


async def count_uncompacted(scope: Scope) -> int:
    """The number of deltas of a community that are not compacted."""
    count: int = await scope.fetchval(_COUNT_DELTAS, scope.community_id)
    return count
