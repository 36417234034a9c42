"""Recomputes the profiles whose values are due: by the clock, or because a fact that many share has changed.

With them go those whose membership begins or ends by the clock, and those that no commit has derived yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from regulars.aggregations import dirty_profiles
from regulars.aggregations.table import SHARED_FACT
from regulars.ingest.commit import commit
from regulars.jobs import per_community
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database

BATCH_PROFILES = 500

_DUE = """
SELECT profile_id, next_change_at, values_version
FROM profile_aggregations
WHERE community_id = $1 AND next_change_at <= $2
ORDER BY next_change_at
LIMIT $3
"""

# What a load has marked is left to it for as long as it is under way.
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

# The mark of how far they are derived moves with them.
_NOT_DERIVED = """
WITH mark AS (
    SELECT derived_up_to FROM fold_marks WHERE community_id = $1 AND derived_up_to IS NOT NULL
),
found AS MATERIALIZED (
    SELECT profile_id
    FROM profiles
    WHERE community_id = $1 AND profile_id > (SELECT derived_up_to FROM mark)
    ORDER BY profile_id
    LIMIT $2
),
moved AS (
    UPDATE fold_marks
    SET derived_up_to = (SELECT profile_id FROM found ORDER BY profile_id DESC LIMIT 1)
    WHERE community_id = $1 AND derived_up_to IS NOT NULL
)
SELECT profile_id FROM found
"""

_WAITING = f"""
SELECT count(*) AS profiles, min(next_change_at) FILTER (WHERE next_change_at <= $2) AS oldest
FROM (({_DUE}) UNION ALL ({_OUTDATED})) AS waiting
"""

MAX_COUNTED_PROFILES = 10_000
"""So many profiles of a community are counted at most for each reason: whoever waits for more need not know."""

# One process sweeps a community at a time; the lock ends with the transaction, so poolers may stand between.
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('regulars.sweep'), $1)"


async def refresh_all(
    database: Database, stopping: Callable[[], bool], observe: Callable[[int], None] = lambda profiles: None
) -> int:
    """Visits what is due now in every community, and nothing else; gives how many profiles that were.

    What goes wrong in one community is logged, and keeps none of the others waiting. `observe` is told of the
    profiles of each part once it is committed.
    """
    return await per_community.run_for_each(
        "sweep",
        await per_community.list_ids(database),
        lambda community_id: refresh_community(database, community_id, stopping, observe),
        stopping,
    )


async def refresh_community(
    database: Database,
    community_id: int,
    stopping: Callable[[], bool],
    observe: Callable[[int], None] = lambda profiles: None,
) -> int:
    """Visits what is due now in one community; gives how many profiles that were."""
    swept = 0
    while not stopping():
        found = await commit(database, community_id, _part)
        swept += found
        observe(found)
        if found < BATCH_PROFILES:
            break
    return swept


async def _part(uow: UnitOfWork) -> int:
    if not await uow.fetchval(_ALONE, uow.community_id):
        return 0
    due = await uow.fetch(_DUE, uow.community_id, uow.now, BATCH_PROFILES)
    _touch(uow, due, "clock")
    if room := BATCH_PROFILES - len(due):
        least = dirty_profiles.MIN_MARKER if await uow.fetchval(dirty_profiles.TRY_LOAD_LOCK, uow.community_id) else 0
        outdated = await uow.fetch(_OUTDATED, uow.community_id, uow.now, room, least)
        _touch(uow, outdated, SHARED_FACT)
    for row in await uow.fetch(_DUE_MEMBERS, uow.community_id, uow.now, BATCH_PROFILES):
        uow.dirty_members.add(row["profile_id"])
    for row in await uow.fetch(_NOT_DERIVED, uow.community_id, BATCH_PROFILES):
        uow.dirty_members.add(row["profile_id"])
    return max(len(uow.dirty_profiles), len(uow.dirty_members))


def _touch(uow: UnitOfWork, rows: Sequence[Any], cause: str) -> None:
    for row in rows:
        uow.mark_dirty(row["profile_id"], dirty_profiles.cause(row["values_version"]) or cause)


@dataclass(frozen=True, slots=True)
class RefreshBacklog:
    """What the sweep has before it: how many profiles, and for how long the first of them has been due by the clock."""

    profiles: int
    oldest_seconds: float


async def measure_backlog(database: Database) -> RefreshBacklog:
    """What is due now in all communities; of one that has much, COUNTED profiles for each reason."""
    profiles, oldest_seconds = 0, 0.0
    for community_id in await per_community.list_ids(database):
        async with database.read_transaction(community_id) as scope:
            found = await scope.fetchrow(
                _WAITING, community_id, scope.now, MAX_COUNTED_PROFILES, dirty_profiles.MIN_MARKER
            )
        profiles += found["profiles"]
        if found["oldest"] is not None:
            oldest_seconds = max(oldest_seconds, (scope.now - found["oldest"]).total_seconds())
    return RefreshBacklog(profiles, oldest_seconds)
