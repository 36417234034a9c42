"""How many members there were, as seen every 15 minutes: kept as what changed from one snapshot to the next."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from regulars.rollups import partitions
from regulars.rollups.intervals import HOURLY_AND_UP
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope

SNAPSHOT_INTERVAL = timedelta(minutes=15)

_STEPS = [interval.code for interval in HOURLY_AND_UP]
_TAKE = sql_files.load("regulars.rollups", "snapshots_take")
_RECOUNT = sql_files.load("regulars.rollups", "snapshots_recount")
_REBUILD = sql_files.load("regulars.rollups", "snapshots_rebuild")
_WAIT = "SELECT pg_advisory_xact_lock(hashtext('regulars.snapshots'), $1)"
_ZONE = "SELECT timezone, day_number($2, timezone) AS day FROM communities WHERE id = $1"


def slot(now: datetime) -> datetime:
    """The last quarter of an hour that has begun: what a snapshot taken now is of."""
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    return epoch + (now - epoch) // SNAPSHOT_INTERVAL * SNAPSHOT_INTERVAL


def _firsts_kept(now: datetime) -> list[datetime | None]:
    return [partitions.retention_start(interval, now) for interval in HOURLY_AND_UP]


async def lock(scope: Scope) -> None:
    """Waits until nobody else changes snapshots of the community, until the transaction ends."""
    await scope.fetchval(_WAIT, scope.community_id)


async def rebuild(scope: Scope, zone: str) -> None:
    """Makes the rollups anew where there are none, by the clock of a zone. The caller is alone."""
    await scope.execute(_REBUILD, scope.community_id, zone, _STEPS, _firsts_kept(scope.now))


async def take(database: Database, community_id: int) -> int:
    """Takes a snapshot of a community; gives how many members are counted otherwise than in the one before."""
    return await partitions.with_partitions(database, partial(_take, database, community_id))


async def _take(database: Database, community_id: int) -> int:
    async with database.write_transaction(community_id) as scope:
        await lock(scope)
        at = slot(scope.now)
        community = await scope.fetchrow(_ZONE, community_id, scope.now)
        moved: int = await scope.fetchval(
            _TAKE, community_id, at, community["day"], community["timezone"], _STEPS, _firsts_kept(scope.now)
        )
    return moved


async def recount(scope: Scope, profile_ids: Collection[UUID]) -> int:
    """Counts profiles in all snapshots of the past anew, by their memberships; who is gone is in none any more.

    For a purge, and for what was loaded of years before. Gives of how many spans they are.
    """
    await lock(scope)
    zone = await scope.fetchval("SELECT timezone FROM communities WHERE id = $1", scope.community_id)
    spans: int = await scope.fetchval(
        _RECOUNT,
        scope.community_id,
        sorted(profile_ids),
        zone,
        _STEPS,
        _firsts_kept(scope.now),
        slot(scope.now),
    )
    return spans


_JOINED = """
SELECT DISTINCT profile_id
FROM memberships
WHERE community_id = $1 AND profile_id = ANY ($2) AND created_at >= $3
ORDER BY profile_id
"""


async def profiles_with_new_memberships(scope: Scope, profile_ids: Collection[UUID]) -> list[UUID]:
    """Those of some profiles whose memberships came with this transaction."""
    rows = await scope.fetch(_JOINED, scope.community_id, list(profile_ids), scope.now)
    return [row["profile_id"] for row in rows]
