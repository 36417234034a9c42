"""Writes that arrive together are committed together, each caller answered for its own rows."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regulars.core.errors import ValidationError
from regulars.ingest import idempotency
from regulars.ingest.batch_write import dry_run, write_valid_rows
from regulars.ingest.commit import commit, refresh_derived
from regulars.ingest.idempotency import IdempotencyKey, ResponseToStore, StoredResponse
from regulars.ingest.row_errors import as_validation_error
from regulars.ingest.transactions import StoredTransaction, TransactionWrite, WriteOutcome, write
from regulars.model import community as communities
from regulars.model.community import Community
from regulars.model.transactions.schema import TRANSACTIONS, TransactionRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database

EncodedResponse = tuple[int, bytes]
Representations = Mapping[int, dict[str, Any]]
BuildResponse = Callable[[UnitOfWork, list[WriteOutcome], Representations], Awaitable[EncodedResponse | None]]
"""From what came of a caller's rows, and the transactions as they stand by id where it asked for them, to its
answer; None where it has none, as all was refused.
"""


@dataclass(slots=True)
class CommitResult:
    """What one caller gets: what came of its rows, and its answer where it asked for one.

    `is_slow` says that a profile among its rows took long to refresh.
    """

    outcomes: list[WriteOutcome]
    response: EncodedResponse | None = None
    is_slow: bool = False


@dataclass(slots=True)
class PendingWrite:
    """The rows of one caller."""

    writes: list[TransactionWrite]
    build_response: BuildResponse | None
    idempotency_key: IdempotencyKey | None
    create_profiles: bool
    returns_transactions: bool
    result: "asyncio.Future[CommitResult]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


WRITERS_PER_COMMUNITY = 2
"""How many commits of a community one process has under way: while the database works on one, Python makes another."""

MAX_IDEMPOTENCY_KEYS = 1_000
"""The most requests with an Idempotency-Key in one commit: it locks every key, and all communities share the memory
that PostgreSQL has for locks.
"""

MAX_SLOW_PROFILES = 1_000
"""How many profiles a process remembers as slow to refresh."""

Shard = tuple[int, int]
"""A community, and which of its lanes."""


def shard_of(row: TransactionRow, shards: int = WRITERS_PER_COMMUNITY) -> int:
    """The lane of a profile's rows: always the same, so that no commit waits for a profile of the other's."""
    return hash(row.profile or row.external_id) % shards


class GroupCommitter:
    """The writers of this process, one for each lane of a community: while a batch commits, the next one gathers."""

    def __init__(self, database: Database, batch_rows: int, shards: int = WRITERS_PER_COMMUNITY) -> None:
        self._database = database
        self._batch_rows = batch_rows
        self._lanes = shards
        self._waiting: dict[Shard, list[PendingWrite]] = {}
        self._tasks: dict[Shard, asyncio.Task[None]] = {}
        self.on_commit: Callable[[Sequence[CommitResult]], None] = lambda results: None
        """Is told of each batch once it is committed."""
        self._communities: dict[int, Community] = {}
        self._slow: set[tuple[int, tuple[str, str] | None]] = set()

    async def community(self, community_id: int) -> Community:
        """The community that rows are checked by, as it was a moment ago: `put` tells when it is no more.

        Raises NotFoundError.
        """
        known = self._communities.get(community_id)
        if known is None:
            async with self._database.unscoped_connection() as connection:
                known = await communities.get_by_id(connection, community_id)
            self._communities[community_id] = known
        return known

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
        """Commits a caller's rows, with others' in one batch; gives what came of them once they are durable.

        What goes by another `lane` is committed at the same time; without one, a single row goes by that of its
        profile, and many go where least waits.
        `respond` makes its answer in the same transaction, from the transactions themselves where it `shows`
        them. With `once` the answer to an earlier request with that key is given again.
        Raises what kept the whole batch from being committed, such as a lost database, or StaleCommunityError where
        rows have to be checked by the community as it is by now.
        """
        submission = PendingWrite(list(writes), build_response, idempotency_key, create_profiles, returns_transactions)
        line = community_id, self._lane(community_id, writes) if shard is None else shard
        self._waiting.setdefault(line, []).append(submission)
        if line not in self._tasks:
            self._tasks[line] = asyncio.create_task(self._serve(line))
        return await submission.result

    def _lane(self, community_id: int, puts: Sequence[TransactionWrite]) -> int:
        if len(puts) == 1:
            row = puts[0].row
            # What takes long has a lane of its own, so that only its like waits for it.
            return self._lanes if (community_id, row.profile) in self._slow else shard_of(row, self._lanes)
        lines = [(community_id, lane) for lane in range(self._lanes)]
        busy = [(line in self._tasks) + len(self._waiting.get(line, ())) for line in lines]
        return busy.index(min(busy))

    async def _serve(self, line: Shard) -> None:
        waiting, (community_id, _) = self._waiting[line], line
        while waiting:
            batch = self._next_batch(waiting)
            try:
                results = await commit_group(self._database, community_id, batch)
            except Exception as error:
                self._communities.pop(community_id, None)
                for submission in batch:
                    _settle_future(submission, error)
                continue
            self.on_commit(results)
            for submission, result in zip(batch, results, strict=True):
                if result.is_slow and len(submission.writes) == 1:
                    self._remember_slow(community_id, submission.writes[0].row)
                _settle_future(submission, result)
        # Before anything else can run: whoever comes now starts another.
        del self._tasks[line]

    def _remember_slow(self, community_id: int, row: TransactionRow) -> None:
        if len(self._slow) >= MAX_SLOW_PROFILES:
            self._slow.clear()
        self._slow.add((community_id, row.profile))

    def _next_batch(self, waiting: list[PendingWrite]) -> list[PendingWrite]:
        batch: list[PendingWrite] = []
        rows = keys = 0
        while (
            waiting and (not batch or rows + len(waiting[0].writes) <= self._batch_rows) and keys < MAX_IDEMPOTENCY_KEYS
        ):
            # Rows that may make profiles are put with others of their kind.
            if batch and waiting[0].create_profiles != batch[0].create_profiles:
                break
            submission = waiting.pop(0)
            batch.append(submission)
            rows += len(submission.writes)
            keys += submission.idempotency_key is not None
        return batch

    async def finish(self) -> None:
        """Waits until all that was accepted is committed."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))


def _settle_future(submission: PendingWrite, result: CommitResult | Exception) -> None:
    if submission.result.done():
        # The caller went away; what it sent is committed all the same.
        return
    if isinstance(result, Exception):
        submission.result.set_exception(result)
    else:
        submission.result.set_result(result)


async def commit_group(
    database: Database, community_id: int, batch: Sequence[PendingWrite], load_id: int | None = None
) -> list[CommitResult]:
    """Commits a batch in one transaction. A row that the database refuses is found by halving the batch, so
    that only its own caller hears of it. Profiles are refreshed, or marked for a `load` to compute at its end.
    """

    async def at_once(uow: UnitOfWork) -> list[CommitResult]:
        return await _answered(uow, batch, database, halving=False)

    async def by_halves(uow: UnitOfWork) -> list[CommitResult]:
        return await _answered(uow, batch, database, halving=True)

    try:
        return await commit(database, community_id, at_once, load_id)
    except Exception as error:
        if as_validation_error(error) is None:
            raise
    return await commit(database, community_id, by_halves, load_id)


async def dry_run_writes(
    database: Database, community_id: int, writes: Sequence[TransactionWrite], *, create_profiles: bool
) -> list[WriteOutcome]:
    """What would come of rows. Nothing of it stays."""

    async def work(uow: UnitOfWork) -> list[WriteOutcome]:
        return await _write_valid(uow, writes, database, create_profiles=create_profiles)

    return await dry_run(database, community_id, work)


async def _answered(
    uow: UnitOfWork, batch: Sequence[PendingWrite], database: Database, *, halving: bool
) -> list[CommitResult]:
    results: list[CommitResult | None] = [None] * len(batch)
    keyed = [each.idempotency_key for each in batch if each.idempotency_key is not None]
    earlier = await idempotency.find_responses(uow, keyed) if keyed else {}
    repeats: dict[bytes, int] = {}
    fresh: list[int] = []
    for place, submission in enumerate(batch):
        once = submission.idempotency_key
        if once is None:
            fresh.append(place)
        elif once.key_hash in earlier:
            results[place] = _repeated(earlier[once.key_hash], once)
        elif once.key_hash in repeats:
            if batch[repeats[once.key_hash]].idempotency_key != once:
                results[place] = CommitResult([idempotency.key_conflict()])
        else:
            repeats[once.key_hash] = place
            fresh.append(place)
    puts = [each for place in fresh for each in batch[place].writes]
    create_profiles = bool(batch) and batch[0].create_profiles
    take = _write_valid if halving else _write_all
    outcomes = await take(uow, puts, database, create_profiles=create_profiles)
    for place, found in zip(fresh, await _results(uow, [batch[place] for place in fresh], outcomes), strict=True):
        results[place] = found
    for place, submission in enumerate(batch):
        if results[place] is None and submission.idempotency_key is not None:
            # The same request twice in one batch: one write, one answer.
            results[place] = results[repeats[submission.idempotency_key.key_hash]]
    return [each for each in results if each is not None]


def _repeated(earlier: StoredResponse, once: IdempotencyKey) -> CommitResult:
    try:
        return CommitResult([], earlier.replay(once))
    except ValidationError as refused:
        return CommitResult([refused])


async def _results(uow: UnitOfWork, batch: Sequence[PendingWrite], outcomes: list[WriteOutcome]) -> list[CommitResult]:
    start = 0
    parts: list[list[WriteOutcome]] = []
    for submission in batch:
        parts.append(outcomes[start : start + len(submission.writes)])
        start += len(submission.writes)
    shown_ids = [
        each.id
        for submission, part in zip(batch, parts, strict=True)
        if submission.returns_transactions
        for each in part
        if isinstance(each, StoredTransaction)
    ]
    shown = await TRANSACTIONS.fetch_many(uow, shown_ids) if shown_ids else {}
    results = [
        CommitResult(
            part,
            None if submission.build_response is None else await submission.build_response(uow, part, shown),
            bool(uow.slow_profiles) and any(each.row.profile_id in uow.slow_profiles for each in submission.writes),
        )
        for submission, part in zip(batch, parts, strict=True)
    ]
    kept = [
        _stored(uow, submission, submission.idempotency_key, part, result.response)
        for submission, part, result in zip(batch, parts, results, strict=True)
        if submission.idempotency_key is not None and result.response is not None
    ]
    if kept:
        await idempotency.store(uow, kept)
    return results


def _stored(
    uow: UnitOfWork,
    submission: PendingWrite,
    once: IdempotencyKey,
    outcomes: list[WriteOutcome],
    answer: EncodedResponse,
) -> ResponseToStore:
    profile_ids = {each.row.profile_id for each in submission.writes if each.row.profile_id is not None}
    ids = [each.id for each in outcomes if isinstance(each, StoredTransaction)]
    transaction_id = ids[0] if submission.returns_transactions else None
    return ResponseToStore(
        once, *answer, profile_ids, transaction_id, uow.response_quotes_rows and not submission.returns_transactions
    )


async def _write_all(
    uow: UnitOfWork, puts: Sequence[TransactionWrite], database: Database, *, create_profiles: bool
) -> list[WriteOutcome]:
    outcomes = await write(uow, puts, create_profiles=create_profiles)
    await refresh_derived(uow, database.clock)
    return outcomes


async def _write_valid(
    uow: UnitOfWork, writes: Sequence[TransactionWrite], database: Database, *, create_profiles: bool
) -> list[WriteOutcome]:
    async def write_all(some: Sequence[TransactionWrite]) -> list[WriteOutcome]:
        return await _write_all(uow, some, database, create_profiles=create_profiles)

    return await write_valid_rows(uow, writes, write_all)
