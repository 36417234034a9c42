"""How the transactions of a load go in: the first refreshed with their batch, the rest marked, computed at its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from regulars.aggregations import dirty_profiles
from regulars.core.errors import ValidationError
from regulars.facts import purchases
from regulars.ingest.commit import WriteCallback, commit
from regulars.ingest.group_commit import WRITERS_PER_COMMUNITY, GroupCommitter, PendingWrite, commit_group, shard_of
from regulars.ingest.transactions import StoredTransaction, TransactionWrite, WriteMode
from regulars.loading.precomputed_values import PrecomputedValues, import_values
from regulars.loading.refresh_dirty import refresh_dirty
from regulars.model.transactions.schema import TransactionRow
from regulars.storage.database import Database

P = TypeVar("P")
T = TypeVar("T")

MIN_ROWS_PER_SHARD = 250
"""Fewer rows are not worth a commit of their own."""

EAGER_REFRESH_ROWS = 20_000
"""So many rows of a load are refreshed with their batches: a small file is done by then."""


class LoadJob:
    """One load of transactions into a community, of one file or several."""

    def __init__(self, database: Database, committers: GroupCommitter, community_id: int, held: AsyncExitStack) -> None:
        self.database = database
        self.community_id = community_id
        self._committers = committers
        self._held = held
        self._expected = 0
        self.load_id: int | None = None
        """The number of the load, once it marks."""

    async def announce_rows(self, rows: int) -> None:
        """Notes how many rows come next, as far as that is known; a load of many marks from then on."""
        if self.count_announced_rows(rows):
            await self.defer_refresh()

    def count_announced_rows(self, rows: int) -> bool:
        """Notes how many rows come next; gives whether the load is one of many by then."""
        self._expected += rows
        return self._expected > EAGER_REFRESH_ROWS

    async def defer_refresh(self) -> int:
        """Has whatever comes now only marked; gives the number of the load."""
        if self.load_id is None:
            connection = await self._held.enter_async_context(self.database.dedicated_connection())
            self.load_id = await commit(self.database, self.community_id, dirty_profiles.adopt_abandoned)
            await self._held.enter_async_context(connection.transaction())
            await connection.execute(dirty_profiles.SHARED_LOAD_LOCK.format(int(self.community_id)))
        return self.load_id

    async def write(
        self, rows: Sequence[TransactionRow], *, create_profiles: bool
    ) -> list[StoredTransaction | ValidationError]:
        """What came of rows, in their order."""
        lanes = _lanes(rows)

        async def put(lane: int) -> Sequence[StoredTransaction | ValidationError]:
            puts = [TransactionWrite(rows[place], WriteMode.UPSERT) for place in lanes[lane]]
            if self.load_id is None:
                result = await self._committers.write(
                    self.community_id, puts, create_profiles=create_profiles, shard=lane
                )
                return result.outcomes
            submission = PendingWrite(puts, None, None, create_profiles, returns_transactions=False)
            (result,) = await commit_group(self.database, self.community_id, [submission], self.load_id)
            return result.outcomes

        found: dict[int, StoredTransaction | ValidationError] = {}
        for places, outcomes in zip(lanes, await gather_all(put, range(len(lanes))), strict=True):
            found |= zip(places, outcomes, strict=True)
        return [found[place] for place in range(len(rows))]

    async def _has_marks(self) -> bool:
        async with self.database.read_transaction(self.community_id) as scope:
            return bool(await scope.fetchval(dirty_profiles.HAS_DIRTY, self.community_id))

    async def commit(self, work: WriteCallback[T]) -> T:
        """Runs `work` in one transaction, as `commit` does."""
        return await commit(self.database, self.community_id, work, self.load_id)

    async def finish(
        self, on_refreshed: Callable[[int], None] = lambda profiles: None, precomputed: PrecomputedValues | None = None
    ) -> int:
        """Computes what was marked, by loads before that have died too; `told` hears of the profiles of each part.

        Of `given`, values computed elsewhere, those are taken whose facts are the store's; gives how many.
        """
        taken = 0
        if self.load_id is None and await self._has_marks():
            await self.defer_refresh()
        if self.load_id is not None and precomputed is not None:
            taken = await import_values(self.database, self.community_id, self.load_id, precomputed)
        if self.load_id is not None:
            await refresh_dirty(self.database, self.community_id, self.load_id, on_refreshed)
            # At once, for purchases that are folded in no order of time move the same days and sets again and again.
            await purchases.compact(self.database, self.community_id, wait=True)
        return taken


@asynccontextmanager
async def open_load_job(database: Database, committers: GroupCommitter, community_id: int) -> AsyncIterator[LoadJob]:
    """A load that lasts as long as the block; whoever wants its values written calls `finish` within it.

    What it has marked and not computed is left to the next load, or to the sweep.
    """
    async with AsyncExitStack() as held:
        yield LoadJob(database, committers, community_id, held)


async def gather_all(put: Callable[[P], Awaitable[T]], parts: Sequence[P]) -> list[T]:
    """What comes of several commits at once; all of them end before an error goes on."""
    ended = await asyncio.gather(*map(put, parts), return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return ended  # type: ignore[return-value]


def _lanes(rows: Sequence[TransactionRow]) -> list[list[int]]:
    """The places of rows that are put at once: all those that name one profile in one lane, so that none waits for
    the other.
    """
    if len(rows) < WRITERS_PER_COMMUNITY * MIN_ROWS_PER_SHARD:
        return [list(range(len(rows)))] if rows else []
    lanes: list[list[int]] = [[] for _ in range(WRITERS_PER_COMMUNITY)]
    for place, row in enumerate(rows):
        lanes[shard_of(row)].append(place)
    return [lane for lane in lanes if lane]
