"""The one write: facts, the values that they move and what changed, in one database transaction."""

import asyncio
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any, TypeVar

import asyncpg
import structlog

from regulars.aggregations.marks import mark
from regulars.aggregations.refresh import refresh, remove
from regulars.facts import community as communities
from regulars.facts.refusals import NotFound
from regulars.facts.writing import Writing
from regulars.ingest import member_counts
from regulars.ingest.commit_markers import new_marker
from regulars.reports import folding, messages, purchases, rollups, snapshots, usages, visits
from regulars.reports.derive import derive
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.storage.errors import is_definite, is_transient, lacks_partition

T = TypeVar("T")
Work = Callable[[Writing], Awaitable[T]]

ATTEMPTS = 6

_log = structlog.get_logger("regulars.commit")


class ProfileGoneError(NotFound):
    """A profile was removed or merged by another writer while this batch waited for its lock.

    Done again, the batch finds the profile that it was merged into, or refuses the row.
    """


async def commit(database: Database, community_id: int, work: Work[T], load: int | None = None) -> T:
    """Runs `work` and refreshes what it touched in one transaction, or marks it for a `load` to compute at its end;
    gives what it returned.

    A deadlock or a lost connection has the whole repeated, so `work` must do nothing outside its writing. A connection
    that is lost while it commits is repeated only where the database proves that nothing was stored.
    Raises what `work` raises; then nothing of it stays. Raises UnknownOutcomeError where the database can't prove in
    time what became of the commit.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            result, writing = await _once(database, community_id, work, load)
        except asyncpg.CheckViolationError as error:
            if attempt == ATTEMPTS or not lacks_partition(error):
                raise
            # Retention makes partitions ahead of time; where it could not, a write makes its own.
            await retention.keep_day(database, database.clock().date())
            await rollups.keep(database)
        except Exception as error:
            if attempt == ATTEMPTS or not (is_transient(error) or isinstance(error, ProfileGoneError)):
                raise
            _log.warning("commit.again", attempt=attempt, why=type(error).__name__)
            await asyncio.sleep(0.01 * 2**attempt)
        else:
            await _bound(database, writing)
            return result


async def _bound(database: Database, writing: Writing) -> None:
    """Bounds the number of unfolded rows. A failure is left to the next fold: the write itself is stored."""
    try:
        await folding.bound(database, writing.community_id, writing.moves)
        if writing.load is None:
            await purchases.bound(database, writing.community_id, writing.bought, writing.taken_back)
    except Exception:
        _log.exception("fold.failed", community=writing.community_id)


async def _once(database: Database, community_id: int, work: Work[T], load: int | None) -> tuple[T, Writing]:
    marker = new_marker(community_id, database.clock().date())
    first = f"{marker.lock}; {communities.holding_currency(community_id)}"
    is_committing = False
    try:
        async with database.writing(community_id, first, marker.insert) as scope:
            community = await communities.by_id(scope.connection, community_id)
            writing = Writing(scope.connection, community_id, scope.now, community, load=load)
            result = await work(writing)
            await settle(writing, database.clock)
            is_committing = True
    except Exception as error:
        # After an error during COMMIT the transaction may be stored; only its marker proves it.
        if not is_committing or is_definite(error) or not await marker.is_committed(database):
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


async def settle(writing: Writing, clock: Callable[[], Any]) -> None:
    """Makes everything derived true again for what a writing touched."""
    if writing.removed:
        await remove(writing, sorted(writing.removed))
    if there := sorted({*writing.touched, *writing.members} - writing.removed, key=_NUMBER):
        # Locked in the order of their keys, and read by later statements: their snapshots
        # then hold all that earlier holders of these locks have committed.
        locked = await writing.fetch(_LOCK, writing.community_id, there)
        if writing.touched.keys() - {row["profile_id"] for row in locked if not row["is_merged"]}:
            raise ProfileGoneError("A profile was removed meanwhile.")
        if writing.touched:
            profile_ids = sorted(writing.touched, key=_NUMBER)
            causes = [writing.touched[each] for each in profile_ids]
            if writing.load is None:
                writing.slow.update(await refresh(writing, profile_ids, causes, clock()))
            else:
                await mark(writing, writing.load, profile_ids, causes)
        if left := [row["profile_id"] for row in locked if not row["is_there"]]:
            await remove(writing, left)
    if writing.members and writing.at_once:
        await member_counts.count(writing)
    elif writing.members:
        writing.moves += await derive(writing, writing.community, writing.members)
        if writing.of_history:
            await snapshots.recount(writing, await snapshots.joined(writing, writing.members))
    if writing.transactions:
        writing.bought += len(writing.transactions)
        writing.taken_back += await purchases.tell(writing, writing.community, writing.transactions)
    if writing.purged:
        await snapshots.recount(writing, writing.purged)
        await messages.forget(writing, writing.purged)
        await visits.forget(writing, writing.purged)
        await usages.forget(writing, writing.purged)
    if writing.merged:
        await messages.move(writing, writing.merged)
        await visits.move(writing, writing.merged)
        await usages.move(writing, writing.merged)
    if writing.values_changed or writing.locations_changed:
        # Last, for all writers of a community meet in this row.
        await writing.execute(
            _RAISE_EPOCHS,
            writing.community_id,
            writing.values_changed,
            writing.values_changed or writing.locations_changed,
        )
    writing.settled()
