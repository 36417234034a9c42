"""Adds up what commits append: one folder a community at a time, while reads add folded and unfolded."""

from functools import partial

from regulars.rollups import partitions, snapshots
from regulars.rollups.intervals import ALL_INTERVALS
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope

MAX_UNCOMPACTED = 20_000
"""A process that has appended so many rows folds them before it writes on."""

_FOLD = sql_files.load("regulars.rollups", "member_deltas_compact")

_REBUILD = sql_files.load("regulars.rollups", "member_rollups_rebuild")

_ZONES = """
SELECT c.timezone, coalesce(f.zone <> c.timezone, FALSE) AS is_another
FROM communities AS c
LEFT JOIN fold_marks AS f ON f.community_id = c.id
WHERE c.id = $1
"""

_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.fold'), $1)"
_WAIT = "SELECT pg_advisory_xact_lock(hashtext('regulars.fold'), $1)"

_UNFOLDED = """
SELECT EXISTS (
    SELECT FROM {table}
    WHERE community_id = $1
      AND transaction_id >= coalesce((SELECT watermark FROM fold_marks WHERE community_id = $1), '0')
)
"""

DELTA_TABLES = ("group_deltas", "balance_deltas")

_appended: dict[int, int] = {}


def pending_communities() -> list[int]:
    """The communities that this process has appended to since it last folded them."""
    return list(_appended)


async def compact(database: Database, community_id: int) -> int:
    """Folds what is appended to a community; gives how many rows that were, 0 where another process is at it."""
    _appended.pop(community_id, None)
    return await _whole(database, community_id, waiting=False)


async def apply_backpressure(database: Database, community_id: int, moves: int) -> None:
    """Keeps what is unfolded within bounds: of a writer that has appended much, the next write waits for the fold."""
    if not moves:
        return
    _appended[community_id] = _appended.get(community_id, 0) + moves
    if _appended[community_id] >= MAX_UNCOMPACTED:
        del _appended[community_id]
        await _whole(database, community_id, waiting=True)


async def repair(database: Database) -> int:
    """Has folds begin anew where the database was restored to lower transaction ids; gives for how many communities."""
    async with database.unscoped_connection() as connection:
        repaired: int = await connection.fetchval("SELECT repair_fold_marks()")
    return repaired


async def _whole(database: Database, community_id: int, *, waiting: bool) -> int:
    return await partitions.with_partitions(database, partial(_once, database, community_id, waiting=waiting))


async def _once(database: Database, community_id: int, *, waiting: bool) -> int:
    async with database.write_transaction(community_id) as scope:
        if waiting:
            await scope.fetchval(_WAIT, community_id)
        elif not await scope.fetchval(_ALONE, community_id):
            return 0
        return await compact_in_transaction(scope)


async def compact_in_transaction(scope: Scope) -> int:
    """Folds within a transaction that holds the folder's lock since an earlier statement.

    Where the community's zone is another one by now, everything by bucket is made anew first.
    """
    zones = await scope.fetchrow(_ZONES, scope.community_id)
    if zones["is_another"]:
        await _rebuild(scope, zones["timezone"])
    folded: int = await scope.fetchval(
        _FOLD,
        scope.community_id,
        zones["timezone"],
        [interval.code for interval in ALL_INTERVALS],
        partitions.retention_starts(scope.now),
    )
    return folded


_KEEP_ZONE = """
INSERT INTO fold_marks AS kept (community_id, zone)
VALUES ($1, $2)
ON CONFLICT (community_id) DO UPDATE
SET zone = excluded.zone
WHERE kept.zone IS DISTINCT FROM excluded.zone
"""


async def lock(scope: Scope) -> str | None:
    """Waits for the folder's lock, held until the transaction ends, for whoever adds to counts and rollups by itself.

    Gives the zone by whose clock its buckets are to be. None where the zone was another one: then all that members
    have been told of is in the buckets that are made anew here, and nothing is to be added.
    """
    await scope.fetchval(_WAIT, scope.community_id)
    zones = await scope.fetchrow(_ZONES, scope.community_id)
    if zones["is_another"]:
        await compact_in_transaction(scope)
        return None
    zone: str = zones["timezone"]
    await scope.execute(_KEEP_ZONE, scope.community_id, zone)
    return zone


async def _rebuild(scope: Scope, zone: str) -> None:
    await snapshots.lock(scope)
    await scope.execute(_REBUILD, scope.community_id, zone)
    await snapshots.rebuild(scope, zone)


async def compact_pending(database: Database, community_id: int) -> int:
    """Folds what other processes have left; gives how many rows that were."""
    async with database.read_transaction(community_id) as scope:
        zones = await scope.fetchrow(_ZONES, community_id)
        found = [await scope.fetchval(_UNFOLDED.format(table=table), community_id) for table in DELTA_TABLES]
    return await compact(database, community_id) if zones["is_another"] or any(found) else 0
