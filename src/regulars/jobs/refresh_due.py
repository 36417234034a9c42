"""Refreshes outdated profiles: values that change with time, and values that depend on a changed shared fact.

Also refreshes members whose membership starts or ends with time, and profiles that were not derived yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from regulars.aggregations import dirty_profiles
from regulars.aggregations.table import SHARED_FACT
from regulars.ingest.commit import commit
from regulars.jobs import per_community
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database, Scope

BATCH_PROFILES = 500

_DUE = """
SELECT profile_id, next_change_at, values_version
FROM profile_aggregations
WHERE community_id = $1 AND next_change_at <= $2
ORDER BY next_change_at
LIMIT $3
"""

# Profiles that a running load marked as dirty are left to that load.
_OUTDATED = """
SELECT profile_id, next_change_at, values_version
FROM profile_aggregations
WHERE community_id = $1
  AND values_version < (SELECT values_version FROM cache_versions WHERE community_id = $1)
  AND values_version >= $4
  AND (next_change_at > $2 OR next_change_at IS NULL)
ORDER BY values_version
LIMIT $3
"""

_DUE_MEMBERS = """
SELECT profile_id
FROM members
WHERE community_id = $1 AND next_change_at <= $2
ORDER BY next_change_at
LIMIT $3
"""

# Advances the position of the backfill by the profiles that it returns.
_NOT_DERIVED = """
WITH position AS (
    SELECT backfilled_up_to FROM compaction_state WHERE community_id = $1 AND backfilled_up_to IS NOT NULL
),
batch AS MATERIALIZED (
    SELECT profile_id
    FROM profiles
    WHERE community_id = $1 AND profile_id > (SELECT backfilled_up_to FROM position)
    ORDER BY profile_id
    LIMIT $2
),
advanced AS (
    UPDATE compaction_state
    SET backfilled_up_to = (SELECT profile_id FROM batch ORDER BY profile_id DESC LIMIT 1)
    WHERE community_id = $1 AND backfilled_up_to IS NOT NULL
)
SELECT profile_id FROM batch
"""

_BACKLOG = f"""
SELECT count(*) AS profiles, min(next_change_at) FILTER (WHERE next_change_at <= $2) AS oldest
FROM (({_DUE}) UNION ALL ({_OUTDATED})) AS outdated
"""

MAX_COUNTED_PROFILES = 10_000
"""Maximum number of outdated profiles that are counted per community and reason."""

# One process refreshes a community at a time. The lock ends with the transaction, so it works behind poolers.
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.refresh'), $1)"


async def refresh_all(
    database: Database, stopping: Callable[[], bool], on_refreshed: Callable[[int], None] = lambda profiles: None
) -> int:
    """Refreshes the outdated profiles of every community and returns their number.

    Errors of a community are logged and do not affect the others. `on_refreshed` is called with the number of profiles
    of each batch after its commit.
    """
    return await per_community.run_for_each(
        "refresh",
        await per_community.list_ids(database),
        lambda community_id: refresh_community(database, community_id, stopping, on_refreshed),
        stopping,
    )


async def refresh_community(
    database: Database,
    community_id: int,
    stopping: Callable[[], bool],
    on_refreshed: Callable[[int], None] = lambda profiles: None,
) -> int:
    """Refreshes the outdated profiles of one community and returns their number."""
    total = 0
    while not stopping():
        refreshed = await commit(database, community_id, _refresh_batch)
        total += refreshed
        on_refreshed(refreshed)
        if refreshed < BATCH_PROFILES:
            break
    return total


async def _refresh_batch(uow: UnitOfWork) -> int:
    if not await uow.fetchval(_TRY_LOCK, uow.community_id):
        return 0
    due = await uow.fetch(_DUE, uow.community_id, uow.now, BATCH_PROFILES)
    _mark_dirty(uow, due, "clock")
    if remaining := BATCH_PROFILES - len(due):
        min_version = (
            dirty_profiles.MIN_MARKER if await uow.fetchval(dirty_profiles.TRY_LOAD_LOCK, uow.community_id) else 0
        )
        outdated = await uow.fetch(_OUTDATED, uow.community_id, uow.now, remaining, min_version)
        _mark_dirty(uow, outdated, SHARED_FACT)
    for row in await uow.fetch(_DUE_MEMBERS, uow.community_id, uow.now, BATCH_PROFILES):
        uow.dirty_members.add(row["profile_id"])
    for row in await uow.fetch(_NOT_DERIVED, uow.community_id, BATCH_PROFILES):
        uow.dirty_members.add(row["profile_id"])
    return max(len(uow.dirty_profiles), len(uow.dirty_members))


def _mark_dirty(uow: UnitOfWork, rows: Sequence[Any], reason: str) -> None:
    for row in rows:
        uow.mark_dirty(row["profile_id"], dirty_profiles.cause(row["values_version"]) or reason)


@dataclass(frozen=True, slots=True)
class RefreshBacklog:
    """The number of outdated profiles, and the seconds since the first of them became outdated with time."""

    profiles: int
    oldest_seconds: float


async def measure_backlog(database: Database) -> RefreshBacklog:
    """Measures the backlog of all communities, with at most MAX_COUNTED_PROFILES per community and reason."""
    profiles, oldest_seconds = 0, 0.0
    for community_id in await per_community.list_ids(database):
        async with database.read_transaction(community_id) as scope:
            found = await measure_community(scope)
        profiles += found.profiles
        oldest_seconds = max(oldest_seconds, found.oldest_seconds)
    return RefreshBacklog(profiles, oldest_seconds)


async def measure_community(scope: Scope) -> RefreshBacklog:
    """Measures the backlog of one community as `measure_backlog` does."""
    row = await scope.fetchrow(_BACKLOG, scope.community_id, scope.now, MAX_COUNTED_PROFILES, dirty_profiles.MIN_MARKER)
    oldest = row["oldest"]
    return RefreshBacklog(row["profiles"], 0.0 if oldest is None else (scope.now - oldest).total_seconds())
