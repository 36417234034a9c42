"""The one write: facts, the values that they move and what changed, in one database transaction."""

import asyncio
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any, TypeVar

import asyncpg
import structlog

from regulars.aggregations.dirty_profiles import mark_dirty
from regulars.aggregations.refresh import refresh, remove
from regulars.core.errors import NotFoundError
from regulars.facts.registry import FACT_TYPES
from regulars.ingest.commit_markers import new_marker
from regulars.model import community as communities
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import partitions
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.errors import is_missing_partition, is_transient, proves_rollback

T = TypeVar("T")
WriteCallback = Callable[[UnitOfWork], Awaitable[T]]

MAX_ATTEMPTS = 6

_log = structlog.get_logger("regulars.commit")


class ProfileRemovedError(NotFoundError):
    """A profile was removed or merged by another writer while this batch waited for its lock.

    Done again, the batch finds the profile that it was merged into, or refuses the row.
    """


async def commit(database: Database, community_id: int, work: WriteCallback[T], load_id: int | None = None) -> T:
    """Runs `work` and refreshes what it touched in one transaction, or marks it for a `load` to compute at its end;
    gives what it returned.

    A deadlock or a lost connection has the whole repeated, so `work` must do nothing outside its uow. A connection
    that is lost while it commits is repeated only where the database proves that nothing was stored.
    Raises what `work` raises; then nothing of it stays. Raises CommitStatusUnknownError where the database can't prove in
    time what became of the commit.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            result, uow = await _once(database, community_id, work, load_id)
        except asyncpg.CheckViolationError as error:
            if attempt == MAX_ATTEMPTS or not is_missing_partition(error):
                raise
            # Retention makes partitions ahead of time; where it could not, a write makes its own.
            await retention.ensure_day_partitions(database, database.clock().date())
            await partitions.ensure(database)
        except Exception as error:
            if attempt == MAX_ATTEMPTS or not (is_transient(error) or isinstance(error, ProfileRemovedError)):
                raise
            _log.warning("commit.again", attempt=attempt, why=type(error).__name__)
            await asyncio.sleep(0.01 * 2**attempt)
        else:
            await _bound(database, uow)
            return result


async def _bound(database: Database, uow: UnitOfWork) -> None:
    """Limits the number of uncompacted deltas. A failure is left to the next compaction: the write itself is stored."""
    for fact_type in FACT_TYPES:
        if fact_type.compaction is None:
            continue
        try:
            await fact_type.compaction.apply_backpressure(database, uow)
        except Exception:
            _log.exception("compaction.failed", community=uow.community_id, fact_type=fact_type.name)


async def _once(
    database: Database, community_id: int, work: WriteCallback[T], load: int | None
) -> tuple[T, UnitOfWork]:
    marker = new_marker(community_id, database.clock().date())
    first = f"{marker.lock}; {communities.currency_lock_statement(community_id)}"
    is_committing = False
    try:
        async with database.write_transaction(community_id, first, marker.insert) as scope:
            community = await communities.get_by_id(scope.connection, community_id)
            uow = UnitOfWork(scope.connection, community_id, scope.now, community, load_id=load)
            result = await work(uow)
            await refresh_derived(uow, database.clock)
            is_committing = True
    except Exception as error:
        # After an error during COMMIT the transaction may be stored; only its marker proves it.
        if not is_committing or proves_rollback(error) or not await marker.is_committed(database):
            raise
        _log.warning("commit.proven", why=type(error).__name__)
    return result, uow


_NUMBER = attrgetter("int")
"""The order of ids, many times faster than by themselves."""

# As a constant the list is made a hash: of a community that it knows nothing of yet the database may read all.
_LOCK = """
SELECT profile_id, deleted_at IS NULL AS is_there, merged_into IS NOT NULL AS is_merged
FROM profiles
WHERE community_id = $1 AND profile_id = ANY ($2)
ORDER BY profile_id
FOR NO KEY UPDATE
"""

_RAISE_EPOCHS = """
UPDATE cache_versions
SET values_version = values_version + $2::bool::int,
    locations_version = locations_version + $3::bool::int
WHERE community_id = $1
"""


async def refresh_derived(uow: UnitOfWork, clock: Callable[[], Any]) -> None:
    """Makes everything derived true again for what a unit of work touched."""
    if uow.removed_profiles:
        await remove(uow, sorted(uow.removed_profiles))
    if there := sorted({*uow.dirty_profiles, *uow.dirty_members} - uow.removed_profiles, key=_NUMBER):
        # Locked in the order of their keys, and read by later statements: their snapshots
        # then hold all that earlier holders of these locks have committed.
        locked = await uow.fetch(_LOCK, uow.community_id, there)
        if uow.dirty_profiles.keys() - {row["profile_id"] for row in locked if not row["is_merged"]}:
            raise ProfileRemovedError("A profile was removed meanwhile.")
        if uow.dirty_profiles:
            profile_ids = sorted(uow.dirty_profiles, key=_NUMBER)
            causes = [uow.dirty_profiles[each] for each in profile_ids]
            if uow.load_id is None:
                uow.slow_profiles.update(await refresh(uow, profile_ids, causes, clock()))
            else:
                await mark_dirty(uow, uow.load_id, profile_ids, causes)
        if left := [row["profile_id"] for row in locked if not row["is_there"]]:
            await remove(uow, left)
    for fact_type in FACT_TYPES:
        if fact_type.record is not None:
            await fact_type.record(uow)
    for fact_type in FACT_TYPES:
        if uow.erased_profiles and fact_type.erase is not None:
            await fact_type.erase(uow, uow.erased_profiles)
    for fact_type in FACT_TYPES:
        if uow.merged_profiles and fact_type.reassign is not None:
            await fact_type.reassign(uow, uow.merged_profiles)
    if uow.values_changed or uow.locations_changed:
        # Last, for all writers of a community meet in this row.
        await uow.execute(
            _RAISE_EPOCHS,
            uow.community_id,
            uow.values_changed,
            uow.values_changed or uow.locations_changed,
        )
    uow.clear()
