"""Commits facts, everything that is derived from them, and the outbox in one database transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import structlog

from regulars.aggregations.dirty_profiles import mark_dirty
from regulars.aggregations.refresh import refresh, remove
from regulars.core.errors import NotFoundError
from regulars.facts.registry import FACT_TYPES
from regulars.ingest.commit_markers import new_marker
from regulars.model import community as communities
from regulars.model import events
from regulars.model.community import Community
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import partitions
from regulars.segments import membership
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.errors import is_missing_partition, is_transient, proves_rollback

T = TypeVar("T")
WriteCallback = Callable[[UnitOfWork], Awaitable[T]]

MAX_ATTEMPTS = 6

_log = structlog.get_logger("regulars.commit")


class ProfileRemovedError(NotFoundError):
    """Another writer removed or merged a profile while this transaction waited for its lock.

    On retry, the transaction finds the profile that it was merged into, or rejects the row.
    """


async def commit(
    database: Database,
    community_id: int,
    work: WriteCallback[T],
    load_id: int | None = None,
    community: Community | None = None,
) -> T:
    """Runs `work` and refreshes everything derived from what it changed in one transaction; returns its result.

    With `community`, which was read before, `work` must compare its version. With `load_id`, changed profiles are only
    marked dirty, and refreshed at the end of the load. After a deadlock or a lost connection the transaction is retried, so
    `work` must have no effect outside its unit of work; if the connection was lost during COMMIT, only after the database
    has proven that nothing was stored. Raises what `work` raises, after a rollback, and CommitStatusUnknownError if the
    outcome of COMMIT can't be found out in time.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            result, uow = await _attempt(database, community_id, work, load_id, community)
        except asyncpg.CheckViolationError as error:
            if attempt == MAX_ATTEMPTS or not is_missing_partition(error):
                raise
            # The retention job creates partitions in advance. If it was late, the writer creates them.
            await retention.ensure_day_partitions(database, database.clock().date())
            await partitions.ensure(database)
        except Exception as error:
            if attempt == MAX_ATTEMPTS or not (is_transient(error) or isinstance(error, ProfileRemovedError)):
                raise
            _log.warning("commit.retry", attempt=attempt, error=type(error).__name__)
            await asyncio.sleep(0.01 * 2**attempt)
        else:
            await _apply_backpressure(database, uow)
            return result


async def _apply_backpressure(database: Database, uow: UnitOfWork) -> None:
    """Limits the number of uncompacted deltas. A failure is left to the next compaction: the write itself is stored."""
    for fact_type in FACT_TYPES:
        if fact_type.compaction is None:
            continue
        try:
            await fact_type.compaction.apply_backpressure(database, uow)
        except Exception:
            _log.exception("compaction.failed", community=uow.community_id, fact_type=fact_type.name)


async def _attempt(
    database: Database,
    community_id: int,
    work: WriteCallback[T],
    load_id: int | None,
    earlier: Community | None,
) -> tuple[T, UnitOfWork]:
    marker = new_marker(community_id, database.clock().date())
    first_statements = f"{marker.lock}; {communities.currency_lock_statement(community_id)}"
    is_committing = False
    try:
        async with database.write_transaction(community_id, first_statements, marker.insert) as scope:
            community = earlier or await communities.get_by_id(scope.connection, community_id)
            uow = UnitOfWork(scope.connection, community_id, scope.now, community, earlier is None, load_id=load_id)
            result = await work(uow)
            await refresh_derived(uow, database.clock)
            await _store_events(uow)
            is_committing = True
    except Exception as error:
        # After an error during COMMIT the transaction may have been stored. Only its marker proves it.
        if not is_committing or proves_rollback(error) or not await marker.is_committed(database):
            raise
        _log.warning("commit.proven", error=type(error).__name__)
    if uow.community.triggers:
        events.announce(community_id)
    return result, uow


async def _store_events(uow: UnitOfWork) -> None:
    """Stores the events of a unit of work, and the changes of values, if webhooks listen to them."""
    if uow.events:
        await events.store(uow, uow.events)
    if uow.listens_to(events.AGGREGATION_CHANGED):
        # A change that several callers caused together is sent to all of them.
        sole = {profile_id: namespace for profile_id, (namespace, *others) in uow.writers.items() if not others}
        await events.store_changes(uow, {key: namespace for key, namespace in sole.items() if namespace is not None})


_BY_NUMBER = attrgetter("int")
"""Sort key of ids in the order of PostgreSQL, much faster than comparing UUIDs."""

# With the ids as one parameter PostgreSQL hashes them. Joined to unnest(), it may scan a community without statistics.
_LOCK = """
SELECT profile_id, deleted_at IS NULL AS exists, merged_into IS NOT NULL AS is_merged
FROM profiles
WHERE community_id = $1 AND profile_id = ANY ($2)
ORDER BY profile_id
FOR NO KEY UPDATE
"""

_RAISE_VERSIONS = """
UPDATE cache_versions
SET values_version = values_version + $2::bool::int,
    locations_version = locations_version + $3::bool::int
WHERE community_id = $1
"""


async def refresh_derived(uow: UnitOfWork, clock: Callable[[], Any]) -> None:
    """Updates values, reports and cache versions that depend on what a unit of work has changed so far."""
    if uow.removed_profiles:
        await remove(uow, sorted(uow.removed_profiles))
    changed = {*uow.dirty_profiles, *uow.dirty_members} - uow.removed_profiles
    if profile_ids := sorted(changed, key=_BY_NUMBER):
        deleted = [] if changed <= uow.locked_profiles else await _lock(uow, profile_ids)
        await _refresh_values(uow, clock)
        if deleted:
            await remove(uow, deleted)
    for fact_type in FACT_TYPES:
        if fact_type.record is not None:
            await fact_type.record(uow)
    for fact_type in FACT_TYPES:
        if uow.erased_profiles and fact_type.erase is not None:
            await fact_type.erase(uow, uow.erased_profiles)
    for fact_type in FACT_TYPES:
        if uow.merged_profiles and fact_type.reassign is not None:
            await fact_type.reassign(uow, uow.merged_profiles)
    await membership.record(uow, clock())
    if uow.values_changed or uow.locations_changed:
        # Last, because all writers of a community lock this row.
        await uow.execute(
            _RAISE_VERSIONS,
            uow.community_id,
            uow.values_changed,
            uow.values_changed or uow.locations_changed,
        )
    uow.clear()


async def _lock(uow: UnitOfWork, profile_ids: Sequence[UUID]) -> list[UUID]:
    """Locks profiles in the order of their ids; returns those that are deleted.

    Later statements have later snapshots, which contain everything that earlier holders of these locks have committed.
    """
    locked = await uow.fetch(_LOCK, uow.community_id, profile_ids)
    if uow.dirty_profiles.keys() - {row["profile_id"] for row in locked if not row["is_merged"]}:
        raise ProfileRemovedError("A profile was removed by another writer.")
    return [row["profile_id"] for row in locked if not row["exists"]]


async def _refresh_values(uow: UnitOfWork, clock: Callable[[], Any]) -> None:
    if not uow.dirty_profiles:
        return
    profile_ids = sorted(uow.dirty_profiles, key=_BY_NUMBER)
    reasons = [uow.dirty_profiles[each] for each in profile_ids]
    if uow.load_id is None:
        uow.slow_profiles.update(await refresh(uow, profile_ids, reasons, clock()))
    else:
        await mark_dirty(uow, uow.load_id, profile_ids, reasons)
