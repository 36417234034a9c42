"""Writes that arrive together are committed together, each caller answered for its own rows."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regulars.facts import community as communities
from regulars.facts.community import Community
from regulars.facts.refusals import Refused
from regulars.facts.transactions import TRANSACTIONS, TransactionRow
from regulars.facts.writing import Writing
from regulars.ingest import idempotency
from regulars.ingest.commit import commit, settle
from regulars.ingest.idempotency import Earlier, Keyed, Stored
from regulars.ingest.row_errors import log_refusal, refusal_of
from regulars.ingest.transactions import Kept, Outcome, Put, put
from regulars.storage.database import Database

Answer = tuple[int, bytes]
Shown = Mapping[int, dict[str, Any]]
Respond = Callable[[Writing, list[Outcome], Shown], Awaitable[Answer | None]]
"""From what came of a caller's rows, and the transactions as they stand by id where it asked for them, to its
answer; None where it has none, as all was refused.
"""


@dataclass(slots=True)
class Result:
    """What one caller gets: what came of its rows, and its answer where it asked for one.

    `is_slow` says that a profile among its rows took long to refresh.
    """

    outcomes: list[Outcome]
    answer: Answer | None = None
    is_slow: bool = False


@dataclass(slots=True)
class Submission:
    """The rows of one caller."""

    puts: list[Put]
    respond: Respond | None
    once: Keyed | None
    create_profiles: bool
    shows: bool
    result: "asyncio.Future[Result]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


LANES = 2
"""How many commits of a community one process has under way: while the database works on one, Python makes another."""

MAX_KEYS = 1_000
"""The most requests with an Idempotency-Key in one commit: it locks every key, and all communities share the memory
that PostgreSQL has for locks.
"""

MOST_SLOW = 1_000
"""How many profiles a process remembers as slow to refresh."""

Lane = tuple[int, int]
"""A community, and which of its lanes."""


def lane_of(row: TransactionRow, lanes: int = LANES) -> int:
    """The lane of a profile's rows: always the same, so that no commit waits for a profile of the other's."""
    return hash(row.profile or row.external_id) % lanes


class Committers:
    """The writers of this process, one for each lane of a community: while a batch commits, the next one gathers."""

    def __init__(self, database: Database, batch_rows: int, lanes: int = LANES) -> None:
        self._database = database
        self._batch_rows = batch_rows
        self._lanes = lanes
        self._waiting: dict[Lane, list[Submission]] = {}
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self.observe: Callable[[Sequence[Result]], None] = lambda results: None
        """Is told of each batch once it is committed."""
        self._communities: dict[int, Community] = {}
        self._slow: set[tuple[int, tuple[str, str] | None]] = set()

    async def community(self, community_id: int) -> Community:
        """The community that rows are checked by, as it was a moment ago: `put` tells when it is no more.

        Raises NotFound.
        """
        known = self._communities.get(community_id)
        if known is None:
            async with self._database.unscoped() as connection:
                known = await communities.by_id(connection, community_id)
            self._communities[community_id] = known
        return known

    async def put(
        self,
        community_id: int,
        puts: Sequence[Put],
        *,
        respond: Respond | None = None,
        once: Keyed | None = None,
        create_profiles: bool = False,
        shows: bool = False,
        lane: int | None = None,
    ) -> Result:
        """Commits a caller's rows, with others' in one batch; gives what came of them once they are durable.

        What goes by another `lane` is committed at the same time; without one, a single row goes by that of its
        profile, and many go where least waits.
        `respond` makes its answer in the same transaction, from the transactions themselves where it `shows`
        them. With `once` the answer to an earlier request with that key is given again.
        Raises what kept the whole batch from being committed, such as a lost database, or OutdatedError where
        rows have to be checked by the community as it is by now.
        """
        submission = Submission(list(puts), respond, once, create_profiles, shows)
        line = community_id, self._lane(community_id, puts) if lane is None else lane
        self._waiting.setdefault(line, []).append(submission)
        if line not in self._tasks:
            self._tasks[line] = asyncio.create_task(self._serve(line))
        return await submission.result

    def _lane(self, community_id: int, puts: Sequence[Put]) -> int:
        if len(puts) == 1:
            row = puts[0].row
            # What takes long has a lane of its own, so that only its like waits for it.
            return self._lanes if (community_id, row.profile) in self._slow else lane_of(row, self._lanes)
        lines = [(community_id, lane) for lane in range(self._lanes)]
        busy = [(line in self._tasks) + len(self._waiting.get(line, ())) for line in lines]
        return busy.index(min(busy))

    async def _serve(self, line: Lane) -> None:
        waiting, (community_id, _) = self._waiting[line], line
        while waiting:
            batch = self._next_batch(waiting)
            try:
                results = await commit_together(self._database, community_id, batch)
            except Exception as error:
                self._communities.pop(community_id, None)
                for submission in batch:
                    _settle_future(submission, error)
                continue
            self.observe(results)
            for submission, result in zip(batch, results, strict=True):
                if result.is_slow and len(submission.puts) == 1:
                    self._remember_slow(community_id, submission.puts[0].row)
                _settle_future(submission, result)
        # Before anything else can run: whoever comes now starts another.
        del self._tasks[line]

    def _remember_slow(self, community_id: int, row: TransactionRow) -> None:
        if len(self._slow) >= MOST_SLOW:
            self._slow.clear()
        self._slow.add((community_id, row.profile))

    def _next_batch(self, waiting: list[Submission]) -> list[Submission]:
        batch: list[Submission] = []
        rows = keys = 0
        while waiting and (not batch or rows + len(waiting[0].puts) <= self._batch_rows) and keys < MAX_KEYS:
            # Rows that may make profiles are put with others of their kind.
            if batch and waiting[0].create_profiles != batch[0].create_profiles:
                break
            submission = waiting.pop(0)
            batch.append(submission)
            rows += len(submission.puts)
            keys += submission.once is not None
        return batch

    async def finish(self) -> None:
        """Waits until all that was accepted is committed."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))


def _settle_future(submission: Submission, result: Result | Exception) -> None:
    if submission.result.done():
        # The caller went away; what it sent is committed all the same.
        return
    if isinstance(result, Exception):
        submission.result.set_exception(result)
    else:
        submission.result.set_result(result)


async def commit_together(
    database: Database, community_id: int, batch: Sequence[Submission], load: int | None = None
) -> list[Result]:
    """Commits a batch in one transaction. A row that the database refuses is found by halving the batch, so
    that only its own caller hears of it. Profiles are refreshed, or marked for a `load` to compute at its end.
    """

    async def at_once(writing: Writing) -> list[Result]:
        return await _answered(writing, batch, database, halving=False)

    async def by_halves(writing: Writing) -> list[Result]:
        return await _answered(writing, batch, database, halving=True)

    try:
        return await commit(database, community_id, at_once, load)
    except Exception as error:
        if refusal_of(error) is None:
            raise
    return await commit(database, community_id, by_halves, load)


class _RehearsedError(Exception):
    """Ends a transaction that was only to be tried."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


async def rehearsed(
    database: Database, community_id: int, puts: Sequence[Put], *, create_profiles: bool
) -> list[Outcome]:
    """What would come of rows. Nothing of it stays."""

    async def work(writing: Writing) -> list[Outcome]:
        raise _RehearsedError(await _by_halves(writing, puts, database, create_profiles=create_profiles))

    try:
        return await commit(database, community_id, work)
    except _RehearsedError as rehearsal:
        return rehearsal.outcomes


async def _answered(
    writing: Writing, batch: Sequence[Submission], database: Database, *, halving: bool
) -> list[Result]:
    results: list[Result | None] = [None] * len(batch)
    keyed = [each.once for each in batch if each.once is not None]
    earlier = await idempotency.earlier_answers(writing, keyed) if keyed else {}
    repeats: dict[bytes, int] = {}
    fresh: list[int] = []
    for place, submission in enumerate(batch):
        once = submission.once
        if once is None:
            fresh.append(place)
        elif once.key in earlier:
            results[place] = _repeated(earlier[once.key], once)
        elif once.key in repeats:
            if batch[repeats[once.key]].once != once:
                results[place] = Result([idempotency.key_refusal()])
        else:
            repeats[once.key] = place
            fresh.append(place)
    puts = [each for place in fresh for each in batch[place].puts]
    create_profiles = bool(batch) and batch[0].create_profiles
    take = _by_halves if halving else _whole
    outcomes = await take(writing, puts, database, create_profiles=create_profiles)
    for place, found in zip(fresh, await _results(writing, [batch[place] for place in fresh], outcomes), strict=True):
        results[place] = found
    for place, submission in enumerate(batch):
        if results[place] is None and submission.once is not None:
            # The same request twice in one batch: one write, one answer.
            results[place] = results[repeats[submission.once.key]]
    return [each for each in results if each is not None]


def _repeated(earlier: Earlier, once: Keyed) -> Result:
    try:
        return Result([], earlier.given_again(once))
    except Refused as refused:
        return Result([refused])


async def _results(writing: Writing, batch: Sequence[Submission], outcomes: list[Outcome]) -> list[Result]:
    start = 0
    parts: list[list[Outcome]] = []
    for submission in batch:
        parts.append(outcomes[start : start + len(submission.puts)])
        start += len(submission.puts)
    shown_ids = [
        each.id
        for submission, part in zip(batch, parts, strict=True)
        if submission.shows
        for each in part
        if isinstance(each, Kept)
    ]
    shown = await TRANSACTIONS.many(writing, shown_ids) if shown_ids else {}
    results = [
        Result(
            part,
            None if submission.respond is None else await submission.respond(writing, part, shown),
            bool(writing.slow) and any(each.row.profile_id in writing.slow for each in submission.puts),
        )
        for submission, part in zip(batch, parts, strict=True)
    ]
    kept = [
        _stored(writing, submission, submission.once, part, result.answer)
        for submission, part, result in zip(batch, parts, results, strict=True)
        if submission.once is not None and result.answer is not None
    ]
    if kept:
        await idempotency.keep(writing, kept)
    return results


def _stored(writing: Writing, submission: Submission, once: Keyed, outcomes: list[Outcome], answer: Answer) -> Stored:
    profile_ids = {each.row.profile_id for each in submission.puts if each.row.profile_id is not None}
    ids = [each.id for each in outcomes if isinstance(each, Kept)]
    transaction_id = ids[0] if submission.shows else None
    return Stored(once, *answer, profile_ids, transaction_id, writing.quotes_rows and not submission.shows)


async def _whole(writing: Writing, puts: Sequence[Put], database: Database, *, create_profiles: bool) -> list[Outcome]:
    outcomes = await put(writing, puts, create_profiles=create_profiles)
    await settle(writing, database.clock)
    return outcomes


async def _by_halves(
    writing: Writing, puts: Sequence[Put], database: Database, *, create_profiles: bool
) -> list[Outcome]:
    try:
        async with writing.part():
            return await _whole(writing, puts, database, create_profiles=create_profiles)
    except Exception as error:
        refused = refusal_of(error)
        if refused is None:
            raise
        if len(puts) == 1:
            log_refusal(error)
            return [refused]
    middle = len(puts) // 2
    return [
        *await _by_halves(writing, puts[:middle], database, create_profiles=create_profiles),
        *await _by_halves(writing, puts[middle:], database, create_profiles=create_profiles),
    ]
