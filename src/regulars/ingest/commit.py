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
from regulars.ingest.commit_markers import new_marker
from regulars.loading import member_rollups
from regulars.model import community as communities
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import compaction, link_visits, offer_events, partitions, purchases, sending_events, snapshots
from regulars.rollups.members import recompute
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

    A deadlock or a lost connection has the whole repeated, so `work` must do nothing outside its writing. A connection
    that is lost while it commits is repeated only where the database proves that nothing was stored.
    Raises what `work` raises; then nothing of it stays. Raises CommitStatusUnknownError where the database can't prove in
    time what became of the commit.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            result, writing = await _once(database, community_id, work, load_id)
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
            await _bound(database, writing)
            return result


async def _bound(database: Database, writing: UnitOfWork) -> None:
    """Bounds the number of unfolded rows. A failure is left to the next fold: the write itself is stored."""
    try:
        await compaction.apply_backpressure(database, writing.community_id, writing.delta_rows)
        if writing.load_id is None:
            await purchases.apply_backpressure(
                database, writing.community_id, writing.purchases_recorded, writing.purchases_superseded
            )
    except Exception:
        _log.exception("fold.failed", community=writing.community_id)


async def _once(
    database: Database, community_id: int, work: WriteCallback[T], load: int | None
) -> tuple[T, UnitOfWork]:
    marker = new_marker(community_id, database.clock().date())
    first = f"{marker.lock}; {communities.currency_lock_statement(community_id)}"
    is_committing = False
    try:
        async with database.write_transaction(community_id, first, marker.insert) as scope:
            community = await communities.get_by_id(scope.connection, community_id)
            writing = UnitOfWork(scope.connection, community_id, scope.now, community, load_id=load)
            result = await work(writing)
            await refresh_derived(writing, database.clock)
            is_committing = True
    except Exception as error:
        # After an error during COMMIT the transaction may be stored; only its marker proves it.
        if not is_committing or proves_rollback(error) or not await marker.is_committed(database):
            raise
        _log.warning("commit.proven", why=type(error).__name__)
    return result, writing


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
UPDATE epochs
SET values_epoch = values_epoch + $2::bool::int,
    locations_epoch = locations_epoch + $3::bool::int
WHERE community_id = $1
"""


async def refresh_derived(writing: UnitOfWork, clock: Callable[[], Any]) -> None:
    """Makes everything derived true again for what a writing touched."""
    if writing.removed_profiles:
        await remove(writing, sorted(writing.removed_profiles))
    if there := sorted({*writing.dirty_profiles, *writing.dirty_members} - writing.removed_profiles, key=_NUMBER):
        # Locked in the order of their keys, and read by later statements: their snapshots
        # then hold all that earlier holders of these locks have committed.
        locked = await writing.fetch(_LOCK, writing.community_id, there)
        if writing.dirty_profiles.keys() - {row["profile_id"] for row in locked if not row["is_merged"]}:
            raise ProfileRemovedError("A profile was removed meanwhile.")
        if writing.dirty_profiles:
            profile_ids = sorted(writing.dirty_profiles, key=_NUMBER)
            causes = [writing.dirty_profiles[each] for each in profile_ids]
            if writing.load_id is None:
                writing.slow_profiles.update(await refresh(writing, profile_ids, causes, clock()))
            else:
                await mark_dirty(writing, writing.load_id, profile_ids, causes)
        if left := [row["profile_id"] for row in locked if not row["is_there"]]:
            await remove(writing, left)
    if writing.dirty_members and writing.eager_rollups:
        await member_rollups.update_rollups(writing)
    elif writing.dirty_members:
        writing.delta_rows += await recompute(writing, writing.community, writing.dirty_members)
        if writing.is_backfill:
            await snapshots.recount(
                writing, await snapshots.profiles_with_new_memberships(writing, writing.dirty_members)
            )
    if writing.changed_transactions:
        writing.purchases_recorded += len(writing.changed_transactions)
        writing.purchases_superseded += await purchases.record(writing, writing.community, writing.changed_transactions)
    if writing.erased_profiles:
        await snapshots.recount(writing, writing.erased_profiles)
        await sending_events.erase(writing, writing.erased_profiles)
        await link_visits.erase(writing, writing.erased_profiles)
        await offer_events.erase(writing, writing.erased_profiles)
    if writing.merged_profiles:
        await sending_events.reassign(writing, writing.merged_profiles)
        await link_visits.reassign(writing, writing.merged_profiles)
        await offer_events.reassign(writing, writing.merged_profiles)
    if writing.values_changed or writing.locations_changed:
        # Last, for all writers of a community meet in this row.
        await writing.execute(
            _RAISE_EPOCHS,
            writing.community_id,
            writing.values_changed,
            writing.values_changed or writing.locations_changed,
        )
    writing.clear()
