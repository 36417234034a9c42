"""The writes of a community that wait for their commit, and which of them are committed next."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regulars.ingest.idempotency import IdempotencyKey
from regulars.ingest.transactions import TransactionWrite, WriteOutcome
from regulars.model.transactions.schema import TransactionRow
from regulars.model.unit_of_work import UnitOfWork

EncodedResponse = tuple[int, bytes]
Representations = Mapping[int, dict[str, Any]]
BuildResponse = Callable[[UnitOfWork, list[WriteOutcome], Representations], Awaitable[EncodedResponse | None]]
"""Builds the response to a caller from the outcomes of its rows and, if requested, the stored transactions by
id; None if all rows were rejected.
"""

MIN_ROWS_OF_SECOND_COMMIT = 33
"""Fewer rows wait for the running commit instead: in two small commits a row costs a fifth more than in one."""

GATHERING_PART = 0.5
MAX_GATHERING_SECONDS = 0.05
"""The longest time for which rows wait for those of other callers: a part of what the last commit has taken, and a number
of seconds.
"""

LARGE_COMMIT_ROWS = 256
"""No row waits for a commit of more rows than these."""

SLOW_COMMIT_SECONDS = 0.5
"""No row waits longer for a commit, such as one that waits for a lock."""

WRITERS_PER_COMMUNITY = 2
"""Most concurrent commits of a community in one process: while the database executes one, Python prepares another."""

MAX_IDEMPOTENCY_KEYS = 1_000
"""Most idempotency keys in one commit, which locks each of them in PostgreSQL's shared memory for locks."""


@dataclass(slots=True)
class CommitResult:
    """The outcomes of a caller's rows, and its response if it requested one.

    `is_slow` says that refreshing a profile of its rows took long.
    """

    outcomes: list[WriteOutcome]
    response: EncodedResponse | None = None
    is_slow: bool = False


@dataclass(slots=True)
class PendingWrite:
    """The rows of one caller that wait for their commit. Those of different shards are not committed together."""

    writes: list[TransactionWrite]
    build_response: BuildResponse | None
    idempotency_key: IdempotencyKey | None
    create_profiles: bool
    returns_transactions: bool
    shard: int | None = None
    result: "asyncio.Future[CommitResult]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    locked: frozenset[Hashable] = field(init=False)
    """What a commit of these rows locks, as far as it is known before."""

    def __post_init__(self) -> None:
        self.locked = frozenset([key for each in self.writes if (key := _locked_by(each.row)) is not None])


def _locked_by(row: TransactionRow) -> Hashable:
    return row.profile or row.external_id


def shard_of(row: TransactionRow, shards: int = WRITERS_PER_COMMUNITY) -> int:
    """The shard of a row of a file. Rows of one profile share a shard, because a commit locks the profile."""
    return hash(_locked_by(row)) % shards


class WriteQueue:
    """Writes of a community in the order of their arrival, and the batches of them that are being committed.

    A second commit begins while one is running only if enough rows wait, because each commit has fixed costs. Rows of a
    profile that is being committed wait for the end of that commit.
    """

    def __init__(self, batch_rows: int, max_writers: int) -> None:
        self._batch_rows = batch_rows
        self._max_writers = max_writers
        self._waiting: list[PendingWrite] = []
        self._ready_rows = 0
        self._ready_callers = 0
        self._rows_by_commit: dict[int, int] = {}
        self._slow_commits: set[int] = set()
        self._locked: set[Hashable] = set()
        self._gathering: asyncio.Future[None] | None = None
        self._gathered_callers = 0
        self.writers = 0
        """The number of writers: each is counted from its start until it has taken an empty batch."""

    def append(self, pending: PendingWrite) -> None:
        """Adds the rows of a caller."""
        self._waiting.append(pending)
        if self._is_ready(pending):
            self._ready_rows += len(pending.writes)
            self._ready_callers += 1
        if self._gathering is not None and self._ready_callers >= self._gathered_callers and not self._gathering.done():
            self._gathering.set_result(None)

    async def gather(self, committed: Sequence[PendingWrite], commit_seconds: float) -> None:
        """Waits after a commit for the next rows of its callers, unless many rows wait already or there is but one caller.

        Otherwise the first caller to return would be committed alone, and the others would wait for two commits. Does not
        wait beside a running commit, nor after a large one, whose fixed costs do not matter.
        """
        callers = self._ready_callers + len(committed)
        if (
            callers < 2
            or self._ready_rows >= MIN_ROWS_OF_SECOND_COMMIT
            or sum(len(each.writes) for each in committed) > LARGE_COMMIT_ROWS
            or self._rows_by_commit
            or self._gathering is not None
        ):
            return
        self._gathered_callers = callers
        self._gathering = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(min(commit_seconds * GATHERING_PART, MAX_GATHERING_SECONDS)):
                await self._gathering
        except TimeoutError:
            pass
        finally:
            self._gathering = None

    def needs_writer(self) -> bool:
        """Whether rows wait for which another writer must be started."""
        if self.writers == 0:
            return bool(self._waiting)
        is_sharded = bool(self._waiting) and self._waiting[-1].shard is not None
        if self.writers >= (WRITERS_PER_COMMUNITY if is_sharded else self._max_writers):
            return False
        # A writer that has just been started takes all rows but those of another shard.
        return self._is_worth_a_commit() if self._rows_by_commit else is_sharded

    def _is_worth_a_commit(self) -> bool:
        """Whether the rows that wait are committed while another commit is running."""
        return self._ready_rows >= MIN_ROWS_OF_SECOND_COMMIT or (
            self._ready_rows > 0
            and (bool(self._slow_commits) or max(self._rows_by_commit.values()) > LARGE_COMMIT_ROWS)
        )

    def take(self) -> list[PendingWrite]:
        """Takes the next batch; an empty one if nothing waits, or what waits is left to the writer of another batch."""
        if self._rows_by_commit and not self._is_worth_a_commit():
            return []
        batch: list[PendingWrite] = []
        remaining: list[PendingWrite] = []
        rows = keys = 0
        for index, pending in enumerate(self._waiting):
            if not self._is_ready(pending):
                remaining.append(pending)
                continue
            # All rows of a batch create missing profiles, or none does.
            if batch and (
                rows + len(pending.writes) > self._batch_rows
                or keys >= MAX_IDEMPOTENCY_KEYS
                or (pending.create_profiles, pending.shard) != (batch[0].create_profiles, batch[0].shard)
            ):
                remaining += self._waiting[index:]
                break
            batch.append(pending)
            rows += len(pending.writes)
            keys += pending.idempotency_key is not None
        self._waiting = remaining
        if batch:
            self._rows_by_commit[id(batch)] = rows
            self._locked.update(*(each.locked for each in batch))
        self._count_ready()
        return batch

    def mark_slow(self, batch: Sequence[PendingWrite]) -> None:
        """Records that the commit of a batch takes long: no other row waits for it."""
        self._slow_commits.add(id(batch))

    def finish(self, batch: Sequence[PendingWrite]) -> None:
        """Releases what a batch has locked, after its commit."""
        del self._rows_by_commit[id(batch)]
        self._slow_commits.discard(id(batch))
        self._locked.difference_update(*(each.locked for each in batch))
        self._count_ready()

    def _is_ready(self, pending: PendingWrite) -> bool:
        return not self._locked or self._locked.isdisjoint(pending.locked)

    def _count_ready(self) -> None:
        ready = [len(each.writes) for each in self._waiting if self._is_ready(each)]
        self._ready_rows, self._ready_callers = sum(ready), len(ready)
