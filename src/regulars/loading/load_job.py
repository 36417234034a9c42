"""A load job: profiles of its first rows are refreshed immediately, all others are marked dirty until its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from regulars.aggregations import dirty_profiles
from regulars.core.errors import ValidationError
from regulars.facts import purchases
from regulars.ingest.commit import WriteCallback, commit
from regulars.ingest.group_commit import GroupCommitter, commit_group
from regulars.ingest.transactions import StoredTransaction, TransactionWrite, WriteMode
from regulars.ingest.write_queue import WRITERS_PER_COMMUNITY, PendingWrite, shard_of
from regulars.loading.precomputed_values import PrecomputedValues, import_values
from regulars.loading.refresh_dirty import refresh_dirty
from regulars.model.transactions.schema import TransactionRow
from regulars.storage.database import Database, transaction

P = TypeVar("P")
T = TypeVar("T")

MIN_ROWS_PER_SHARD = 250
"""With fewer rows a commit of their own is not worthwhile."""

EAGER_REFRESH_ROWS = 20_000
"""Profiles of the first rows are refreshed as they are written, so that a small file needs no final step."""


class LoadJob:
    """One load into a community, of one file or several."""

    def __init__(
        self, database: Database, group_committer: GroupCommitter, community_id: int, resources: AsyncExitStack
    ) -> None:
        self.database = database
        self.community_id = community_id
        self._group_committer = group_committer
        self._resources = resources
        self._announced_rows = 0
        self.load_id: int | None = None
        """The id by which profiles are marked dirty, once their refresh is deferred."""

    async def announce_rows(self, rows: int) -> None:
        """Announces rows that follow; from EAGER_REFRESH_ROWS on, refreshing profiles is deferred."""
        if self.count_announced_rows(rows):
            await self.defer_refresh()

    def count_announced_rows(self, rows: int) -> bool:
        """Counts rows that follow, and returns whether the load is a large one."""
        self._announced_rows += rows
        return self._announced_rows > EAGER_REFRESH_ROWS

    async def defer_refresh(self) -> int:
        """Has profiles of later rows only marked dirty until `finish`; returns the load id."""
        if self.load_id is None:
            connection = await self._resources.enter_async_context(self.database.dedicated_connection())
            self.load_id = await commit(self.database, self.community_id, dirty_profiles.adopt_abandoned)
            await self._resources.enter_async_context(transaction(connection))
            await connection.execute(dirty_profiles.SHARED_LOAD_LOCK.format(int(self.community_id)))
        return self.load_id

    async def write(
        self, rows: Sequence[TransactionRow], *, create_profiles: bool
    ) -> list[StoredTransaction | ValidationError]:
        """Writes rows and returns their outcomes in order."""
        shards = _shards(rows)

        async def write_shard(shard: int) -> Sequence[StoredTransaction | ValidationError]:
            writes = [TransactionWrite(rows[index], WriteMode.UPSERT) for index in shards[shard]]
            if self.load_id is None:
                result = await self._group_committer.write(
                    self.community_id, writes, create_profiles=create_profiles, shard=shard
                )
                return result.outcomes
            pending = PendingWrite(writes, None, None, create_profiles, returns_transactions=False)
            (result,) = await commit_group(self.database, self.community_id, [pending], self.load_id)
            return result.outcomes

        outcomes: dict[int, StoredTransaction | ValidationError] = {}
        for indexes, written in zip(shards, await gather_all(write_shard, range(len(shards))), strict=True):
            outcomes |= zip(indexes, written, strict=True)
        return [outcomes[index] for index in range(len(rows))]

    async def _has_dirty_profiles(self) -> bool:
        async with self.database.read_transaction(self.community_id) as scope:
            return bool(await scope.fetchval(dirty_profiles.HAS_DIRTY, self.community_id))

    async def commit(self, work: WriteCallback[T]) -> T:
        """Runs `work` in one transaction, as `ingest.commit.commit` does."""
        return await commit(self.database, self.community_id, work, self.load_id)

    async def finish(
        self, on_refreshed: Callable[[int], None] = lambda profiles: None, precomputed: PrecomputedValues | None = None
    ) -> int:
        """Refreshes all dirty profiles, those of loads that died included.

        Values of `precomputed` are imported for profiles whose transactions they were computed from; returns for how
        many. `on_refreshed` is called with the number of profiles of each part.
        """
        imported = 0
        if self.load_id is None and await self._has_dirty_profiles():
            await self.defer_refresh()
        if self.load_id is not None and precomputed is not None:
            imported = await import_values(self.database, self.community_id, self.load_id, precomputed)
        if self.load_id is not None:
            await refresh_dirty(self.database, self.community_id, self.load_id, on_refreshed)
            # Not left to the job: rows in random order of time would have it rewrite the same days and sets repeatedly.
            await purchases.compact(self.database, self.community_id, wait=True)
        return imported


@asynccontextmanager
async def open_load_job(
    database: Database, group_committer: GroupCommitter, community_id: int
) -> AsyncIterator[LoadJob]:
    """Opens a load job for the block; call `finish` within it to have all values refreshed.

    Profiles that stay dirty are refreshed by the next load or by the refresh job.
    """
    async with AsyncExitStack() as resources:
        yield LoadJob(database, group_committer, community_id, resources)


async def gather_all(function: Callable[[P], Awaitable[T]], parts: Sequence[P]) -> list[T]:
    """Awaits `function` for all parts concurrently; all of them end before the first error is raised."""
    results = await asyncio.gather(*map(function, parts), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]


def _shards(rows: Sequence[TransactionRow]) -> list[list[int]]:
    """Indexes of rows by shard. Rows of one profile share a shard, so that no commit waits for another."""
    if len(rows) < WRITERS_PER_COMMUNITY * MIN_ROWS_PER_SHARD:
        return [list(range(len(rows)))] if rows else []
    shards: list[list[int]] = [[] for _ in range(WRITERS_PER_COMMUNITY)]
    for index, row in enumerate(rows):
        shards[shard_of(row)].append(index)
    return [shard for shard in shards if shard]
