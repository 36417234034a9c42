"""Group commit: concurrent writes share one transaction, and each caller gets the outcomes of its own rows."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from regulars.core.errors import ValidationError
from regulars.ingest import idempotency
from regulars.ingest.batch_write import dry_run, write_valid_rows
from regulars.ingest.commit import commit, refresh_derived
from regulars.ingest.idempotency import IdempotencyKey, ResponseToStore, StoredResponse
from regulars.ingest.reference_lookup import CommunityChangedError
from regulars.ingest.row_errors import as_validation_error
from regulars.ingest.transactions import StoredTransaction, TransactionWrite, WriteOutcome, write
from regulars.ingest.write_queue import (
    SLOW_COMMIT_SECONDS,
    WRITERS_PER_COMMUNITY,
    BuildResponse,
    CommitResult,
    EncodedResponse,
    PendingWrite,
    Representations,
    WriteQueue,
)
from regulars.model import community as communities
from regulars.model.community import Community
from regulars.model.transactions.new_transactions import serialize_new
from regulars.model.transactions.schema import TRANSACTIONS, TransactionRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.ingest")

MAX_SLOW_PROFILES = 1_000
"""Most profiles that a process remembers as slow to refresh."""

QueueKey = tuple[int, bool]
"""A community, and whether the queue is that of its slow profiles."""


class GroupCommitter:
    """Commits the transactions of one process: rows that arrive during a commit are the next batch of the community.

    `max_writers` is the number of concurrent commits of a community, without that of its slow profiles.
    """

    def __init__(self, database: Database, batch_rows: int, max_writers: int = WRITERS_PER_COMMUNITY) -> None:
        self._database = database
        self._batch_rows = batch_rows
        self._max_writers = max_writers
        self._queues: dict[QueueKey, WriteQueue] = {}
        self._writers: set[asyncio.Task[None]] = set()
        self.on_commit: Callable[[Sequence[CommitResult]], None] = lambda results: None
        """Called with the results of each batch after its commit."""
        self._communities: dict[int, Community] = {}
        self._slow_profiles: set[tuple[int, tuple[str, str] | None]] = set()

    async def community(self, community_id: int) -> Community:
        """The community, by which rows are validated, from a cache. If it is outdated, `write` raises an error.

        Raises NotFoundError.
        """
        community = self._communities.get(community_id)
        if community is None:
            # In a transaction of the community, to read its triggers as well.
            async with self._database.read_transaction(community_id) as scope:
                community = await communities.get_by_id(scope.connection, community_id)
            self._communities[community_id] = community
        return community

    async def write(
        self,
        community_id: int,
        writes: Sequence[TransactionWrite],
        *,
        build_response: BuildResponse | None = None,
        idempotency_key: IdempotencyKey | None = None,
        create_profiles: bool = False,
        returns_transactions: bool = False,
        shard: int | None = None,
    ) -> CommitResult:
        """Commits a caller's rows, batched with those of others; returns their outcomes once they are durable.

        Rows of different shards, which have no profile in common, are committed concurrently. `build_response` is called
        within the transaction, with the stored transactions if `returns_transactions`. With `idempotency_key`, a retry
        gets the first response.

        Raises errors that concern the whole batch, such as a lost database, and StaleCommunityError if rows were
        validated by outdated settings of the community.
        """
        pending = PendingWrite(
            list(writes), build_response, idempotency_key, create_profiles, returns_transactions, shard
        )
        # Slow profiles have a queue of their own, so that other rows don't wait for them.
        is_slow = len(writes) == 1 and (community_id, writes[0].row.profile) in self._slow_profiles
        queue = self._queues.get((community_id, is_slow))
        if queue is None:
            queue = WriteQueue(self._batch_rows, 1 if is_slow else self._max_writers)
            self._queues[community_id, is_slow] = queue
        queue.append(pending)
        self._start_writer(community_id, queue)
        return await pending.result

    def _start_writer(self, community_id: int, queue: WriteQueue) -> None:
        if queue.needs_writer():
            queue.writers += 1
            task = asyncio.create_task(self._run_writer(community_id, queue))
            self._writers.add(task)
            task.add_done_callback(self._writers.discard)

    async def _run_writer(self, community_id: int, queue: WriteQueue) -> None:
        try:
            while batch := queue.take():
                seconds = await self._commit_batch(community_id, queue, batch)
                await queue.gather(batch, seconds)
        finally:
            # Without an await since the batch was found empty, so that the next write starts a new writer.
            queue.writers -= 1

    async def _commit_batch(self, community_id: int, queue: WriteQueue, batch: Sequence[PendingWrite]) -> float:
        """Commits a batch and resolves its writes; returns how many seconds it has taken."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        timer = loop.call_later(SLOW_COMMIT_SECONDS, self._pass_by, community_id, queue, batch)
        try:
            results = await self._commit(community_id, batch)
        except BaseException as error:
            self._communities.pop(community_id, None)
            for pending in batch:
                _resolve(pending, error)
            if not isinstance(error, Exception):
                raise
            return loop.time() - started_at
        finally:
            timer.cancel()
            queue.finish(batch)
        for pending, result in zip(batch, results, strict=True):
            if result.is_slow and len(pending.writes) == 1:
                self._remember_slow(community_id, pending.writes[0].row)
            _resolve(pending, result)
        try:
            self.on_commit(results)
        except Exception:
            _log.exception("group_commit.observer_failed")
        return loop.time() - started_at

    async def _commit(self, community_id: int, batch: Sequence[PendingWrite]) -> list[CommitResult]:
        if (community := self._communities.get(community_id)) is not None:
            try:
                return await commit_group(self._database, community_id, batch, community=community)
            except CommunityChangedError:
                self._communities.pop(community_id, None)
        return await commit_group(self._database, community_id, batch)

    def _pass_by(self, community_id: int, queue: WriteQueue, batch: Sequence[PendingWrite]) -> None:
        """Starts a writer for the rows that wait for a slow commit."""
        queue.mark_slow(batch)
        self._start_writer(community_id, queue)

    def _remember_slow(self, community_id: int, row: TransactionRow) -> None:
        if len(self._slow_profiles) >= MAX_SLOW_PROFILES:
            self._slow_profiles.clear()
        self._slow_profiles.add((community_id, row.profile))

    async def finish(self) -> None:
        """Waits until all pending writes are committed."""
        while self._writers:
            await asyncio.wait(list(self._writers))


def _resolve(pending: PendingWrite, result: CommitResult | BaseException) -> None:
    if pending.result.done():
        # The caller was cancelled; its rows are committed nevertheless.
        return
    if isinstance(result, Exception):
        pending.result.set_exception(result)
    elif isinstance(result, BaseException):
        # The writer was cancelled; whether the rows are committed is unknown.
        pending.result.cancel()
    else:
        pending.result.set_result(result)


async def commit_group(
    database: Database,
    community_id: int,
    batch: Sequence[PendingWrite],
    load_id: int | None = None,
    community: Community | None = None,
) -> list[CommitResult]:
    """Commits a batch in one transaction. A row that the database rejects is found by bisection, and only its caller is
    notified. With `load_id`, profiles are marked dirty instead of refreshed. Raises CommunityChangedError if `community`,
    which was read before, has changed.
    """

    async def whole_batch(uow: UnitOfWork) -> list[CommitResult]:
        return await _write_batch(uow, batch, database, bisect=False)

    async def bisected(uow: UnitOfWork) -> list[CommitResult]:
        return await _write_batch(uow, batch, database, bisect=True)

    try:
        return await commit(database, community_id, whole_batch, load_id, community)
    except Exception as error:
        if as_validation_error(error) is None:
            raise
    return await commit(database, community_id, bisected, load_id, community)


async def dry_run_writes(
    database: Database, community_id: int, writes: Sequence[TransactionWrite], *, create_profiles: bool
) -> list[WriteOutcome]:
    """Returns the outcomes that writes would have, and rolls them back."""

    async def work(uow: UnitOfWork) -> list[WriteOutcome]:
        return await _write_valid(uow, writes, database, create_profiles=create_profiles)

    return await dry_run(database, community_id, work)


async def _write_batch(
    uow: UnitOfWork, batch: Sequence[PendingWrite], database: Database, *, bisect: bool
) -> list[CommitResult]:
    results: list[CommitResult | None] = [None] * len(batch)
    keys = [each.idempotency_key for each in batch if each.idempotency_key is not None]
    stored = await idempotency.find_responses(uow, keys) if keys else {}
    first_index: dict[bytes, int] = {}
    new: list[int] = []
    for index, pending in enumerate(batch):
        key = pending.idempotency_key
        if key is None:
            new.append(index)
        elif key.key_hash in stored:
            results[index] = _replay(stored[key.key_hash], key)
        elif key.key_hash in first_index:
            if batch[first_index[key.key_hash]].idempotency_key != key:
                results[index] = CommitResult([idempotency.key_conflict()])
        else:
            first_index[key.key_hash] = index
            new.append(index)
    writes = [each for index in new for each in batch[index].writes]
    create_profiles = bool(batch) and batch[0].create_profiles
    write_rows = _write_valid if bisect else _write_all
    outcomes = await write_rows(uow, writes, database, create_profiles=create_profiles)
    for index, result in zip(new, await _results(uow, [batch[index] for index in new], outcomes), strict=True):
        results[index] = result
    for index, pending in enumerate(batch):
        if results[index] is None and pending.idempotency_key is not None:
            # Two identical requests in one batch are written once and share a result.
            results[index] = results[first_index[pending.idempotency_key.key_hash]]
    return [each for each in results if each is not None]


def _replay(stored: StoredResponse, key: IdempotencyKey) -> CommitResult:
    try:
        return CommitResult([], stored.replay(key))
    except ValidationError as error:
        return CommitResult([error])


async def _results(uow: UnitOfWork, batch: Sequence[PendingWrite], outcomes: list[WriteOutcome]) -> list[CommitResult]:
    start = 0
    parts: list[list[WriteOutcome]] = []
    for pending in batch:
        parts.append(outcomes[start : start + len(pending.writes)])
        start += len(pending.writes)
    representations = await _representations(uow, batch, parts)
    results, responses = [], []
    for pending, part in zip(batch, parts, strict=True):
        response = None if pending.build_response is None else await pending.build_response(uow, part, representations)
        is_slow = bool(uow.slow_profiles) and any(each.row.profile_id in uow.slow_profiles for each in pending.writes)
        results.append(CommitResult(part, response, is_slow))
        if pending.idempotency_key is not None and response is not None:
            responses.append(_response_to_store(pending, pending.idempotency_key, part, response))
    if responses:
        await idempotency.store(uow, responses)
    return results


async def _representations(
    uow: UnitOfWork, batch: Sequence[PendingWrite], parts: Sequence[list[WriteOutcome]]
) -> Representations:
    """The stored transactions that callers have requested, by id."""
    shown: dict[int, dict[str, Any]] = {}
    unread: list[int] = []
    for pending, part in zip(batch, parts, strict=True):
        if not pending.returns_transactions:
            continue
        for each, outcome in zip(pending.writes, part, strict=True):
            if not isinstance(outcome, StoredTransaction):
                continue
            new = None
            if outcome.item_ids is not None:
                new = serialize_new(each.row, outcome.id, outcome.item_ids, uow.now)
            if new is None:
                unread.append(outcome.id)
            else:
                shown[outcome.id] = new
    return shown | await TRANSACTIONS.fetch_many(uow, unread) if unread else shown


def _response_to_store(
    pending: PendingWrite,
    key: IdempotencyKey,
    outcomes: list[WriteOutcome],
    response: EncodedResponse,
) -> ResponseToStore:
    profile_ids = {each.row.profile_id for each in pending.writes if each.row.profile_id is not None}
    ids = [outcome.id for outcome in outcomes if isinstance(outcome, StoredTransaction)]
    transaction_id = ids[0] if pending.returns_transactions else None
    return ResponseToStore(key, *response, profile_ids, transaction_id)


async def _write_all(
    uow: UnitOfWork, writes: Sequence[TransactionWrite], database: Database, *, create_profiles: bool
) -> list[WriteOutcome]:
    outcomes = await write(uow, writes, create_profiles=create_profiles)
    await refresh_derived(uow, database.clock)
    return outcomes


async def _write_valid(
    uow: UnitOfWork, writes: Sequence[TransactionWrite], database: Database, *, create_profiles: bool
) -> list[WriteOutcome]:
    async def write_all(some: Sequence[TransactionWrite]) -> list[WriteOutcome]:
        return await _write_all(uow, some, database, create_profiles=create_profiles)

    return await write_valid_rows(uow, writes, write_all)
