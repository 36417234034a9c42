"""Snapshots of the number of members every 15 minutes, stored as changes from one snapshot to the next."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from regulars.rollups import partitions, timezones, verification
from regulars.rollups.intervals import HOURLY_AND_UP
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope

SNAPSHOT_INTERVAL = timedelta(minutes=15)

_GRANULARITIES = [interval.code for interval in HOURLY_AND_UP]
_TAKE = sql_files.load("regulars.rollups", "snapshots_take")
_RECOUNT = sql_files.load("regulars.rollups", "snapshots_recount")
_REBUILD = sql_files.load("regulars.rollups", "snapshots_rebuild")
_VERIFY = verification.load("regulars.rollups", "snapshots_verify")
_WAIT = "SELECT pg_advisory_xact_lock(hashtext('regulars.snapshots'), $1)"
_DAY = "SELECT day_number($2, timezone) FROM communities WHERE id = $1"


def slot(now: datetime) -> datetime:
    """The start of the current quarter of an hour, which is the time of a snapshot taken now."""
    origin = datetime(2000, 1, 1, tzinfo=UTC)
    return origin + (now - origin) // SNAPSHOT_INTERVAL * SNAPSHOT_INTERVAL


def _retention_starts(now: datetime) -> list[datetime | None]:
    return [partitions.retention_start(interval, now) for interval in HOURLY_AND_UP]


async def lock(scope: Scope) -> None:
    """Locks the snapshots of the community until the end of the transaction."""
    await scope.fetchval(_WAIT, scope.community_id)


async def rebuild(scope: Scope, zone: str) -> None:
    """Builds the rollups, of which there are none, by the clock of a time zone. The caller has locked the snapshots."""
    await scope.execute(_REBUILD, scope.community_id, zone, _GRANULARITIES, _retention_starts(scope.now))


async def take(database: Database, community_id: int) -> int:
    """Takes a snapshot of a community; returns how many members are counted differently than in the one before."""
    return await partitions.with_partitions(database, partial(_take, database, community_id))


async def _take(database: Database, community_id: int) -> int:
    async with database.write_transaction(community_id) as scope:
        await lock(scope)
        changed: int = await scope.fetchval(
            _TAKE,
            community_id,
            slot(scope.now),
            await scope.fetchval(_DAY, community_id, scope.now),
            await timezones.ensure_of_members(scope),
            _GRANULARITIES,
            _retention_starts(scope.now),
        )
    return changed


async def recount(scope: Scope, profile_ids: Collection[UUID]) -> int:
    """Recounts profiles in all past snapshots by their memberships; erased profiles are removed from all.

    Used after an erasure and for backfilled memberships. Returns the number of periods in which they are counted.
    """
    await lock(scope)
    periods: int = await scope.fetchval(
        _RECOUNT,
        scope.community_id,
        sorted(profile_ids),
        await timezones.ensure_of_members(scope),
        _GRANULARITIES,
        _retention_starts(scope.now),
        slot(scope.now),
    )
    return periods


_JOINED = """
SELECT DISTINCT profile_id
FROM memberships
WHERE community_id = $1 AND profile_id = ANY ($2) AND created_at >= $3
ORDER BY profile_id
"""


async def profiles_with_new_memberships(scope: Scope, profile_ids: Collection[UUID]) -> list[UUID]:
    """The profiles, of those given, whose memberships were created by this transaction."""
    rows = await scope.fetch(_JOINED, scope.community_id, list(profile_ids), scope.now)
    return [row["profile_id"] for row in rows]


async def find_discrepancies(scope: Scope) -> Sequence[Any]:
    """Returns what is stored of snapshots and differs from the members that were counted in them."""
    timezone = await timezones.get_of_members(scope)
    return await verification.find_discrepancies(scope, _VERIFY, timezone, intervals=HOURLY_AND_UP)
