"""Loads files of facts: in batches, good rows kept, bad ones told with their line and reason."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import asyncpg

from regulars.facts import community as communities
from regulars.facts.community import Community, NewCommunity
from regulars.facts.refusals import Refused, refuse
from regulars.facts.transactions import TransactionRow
from regulars.facts.writing import Writing
from regulars.ingest import entities, together
from regulars.ingest.ahead import prepared
from regulars.ingest.commit import PASSING, commit
from regulars.ingest.entities import ENTITIES, PUTS, Outcome
from regulars.ingest.grouping import LANES, Committers, lane_of, refusal, rehearsed
from regulars.ingest.rows import Line, Read, Rejection
from regulars.ingest.transaction_lines import transaction
from regulars.ingest.transactions import Kept, Mode, OutdatedError, Put
from regulars.reports import snapshots
from regulars.storage.arrays import array
from regulars.storage.database import Database

KEPT_REJECTIONS = 1_000

LEAST_IN_LANE = 250
"""Fewer rows are not worth a commit of their own."""

MANY_ROWS = 1_000
"""A batch of so many may make a table so much larger that the database should look at it anew."""

_JOINING = ("profiles", "memberships")
"""What tells who was a member long before it came."""

_Put = Callable[[Sequence[Any]], Awaitable[list[Outcome]]]


@dataclass(slots=True)
class Summary:
    """What came of a file: how many rows were loaded, unchanged, rejected, and the first rejections."""

    loaded: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were dealt with."""
        return self.loaded + self.unchanged + self.rejected


@dataclass(frozen=True, slots=True)
class Options:
    """How to load.

    `dry_run` undoes all that it does; `create_profiles` makes profiles that transactions name and that are
    not there; `single` says that no external id comes twice, so that transactions need not be put together.
    `rejected` is told of every rejection, `progress` after every batch.
    """

    batch_rows: int = 5_000
    dry_run: bool = False
    create_profiles: bool = False
    single: bool = False
    rejected: Callable[[Rejection], None] = lambda rejection: None
    progress: Callable[[Summary], None] = lambda summary: None


@dataclass(slots=True)
class _Batch:
    """Rows that are ready to be put, each with its line, and those that are not."""

    rows: list[tuple[int, Any]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)


async def load(
    database: Database,
    committers: Committers,
    community_id: int,
    entity: str,
    read: Read,
    options: Options | None = None,
) -> Summary:
    """Loads the rows of one file; gives what came of them once all is durable.

    Raises Refused where the file as a whole is no good (a required column is missing), and what keeps a
    batch from being committed; the batches before it are kept.
    """
    options = options or Options()
    async with database.unscoped() as connection:
        community = await communities.by_id(connection, community_id)
    if entity == "transactions":
        batches = _transactions(read, community, options)
        put: _Put = partial(_put_transactions, database, committers, community_id, options)
    else:
        batches = _rows(read, partial(ENTITIES[entity].decoded, community=community), options)
        put = partial(_put_rows, database, community_id, PUTS[entity], options)
    began = database.clock()
    try:
        summary = await _loaded(database, batches, put, options)
    except OutdatedError:
        raise refuse("", "The community's currency was changed while the file was read: load it again") from None
    if entity in _JOINING and summary.loaded and not options.dry_run:
        await snapshots.fill(database, community_id, began)
    return summary


async def load_communities(database: Database, read: Read, options: Options | None = None) -> Summary:
    """Makes or changes communities by slug; gives what came of the rows. Raises as `load` does."""
    options = options or Options()
    put = partial(_put_communities, database, options)
    return await _loaded(database, _rows(read, entities.community, options), put, options)


async def _loaded(database: Database, batches: Generator[_Batch, None, None], put: _Put, options: Options) -> Summary:
    summary = Summary()
    async with prepared(batches) as upcoming:
        async for batch in upcoming:
            for rejection in batch.rejections:
                _reject(summary, rejection, options)
            outcomes = await put([row for _, row in batch.rows]) if batch.rows else []
            for (line, _), outcome in zip(batch.rows, outcomes, strict=True):
                _count(summary, line, outcome, options)
            if len(batch.rows) >= MANY_ROWS:
                async with database.unscoped() as connection:
                    await connection.execute("SELECT gather_statistics()")
            options.progress(summary)
    summary.rejections.sort(key=lambda each: each.line)
    return summary


def _reject(summary: Summary, rejection: Rejection, options: Options) -> None:
    summary.rejected += 1
    if len(summary.rejections) < KEPT_REJECTIONS:
        summary.rejections.append(rejection)
    options.rejected(rejection)


def _count(summary: Summary, line: int, outcome: Outcome, options: Options) -> None:
    if isinstance(outcome, Refused):
        _reject(summary, Rejection(line, outcome.errors), options)
    elif outcome == "loaded":
        summary.loaded += 1
    else:
        summary.unchanged += 1


# Prepared in a thread ---------------------------------------------------------------------------------------


def _rows(read: Read, decoded: Callable[[bytes], Any], options: Options) -> Generator[_Batch, None, None]:
    batch = _Batch()
    for row in read():
        if isinstance(row, Rejection):
            batch.rejections.append(row)
        else:
            try:
                batch.rows.append((row.number, decoded(row.content)))
            except Refused as refused:
                batch.rejections.append(Rejection(row.number, refused.errors))
        if len(batch.rows) + len(batch.rejections) >= options.batch_rows:
            yield batch
            batch = _Batch()
    yield batch


def _transactions(read: Read, community: Community, options: Options) -> Generator[_Batch, None, None]:
    batch = _Batch()
    for group in _single(read) if options.single else together.groups(read):
        if isinstance(group, Rejection):
            batch.rejections.append(group)
        else:
            found = transaction(group, community)
            if isinstance(found, TransactionRow):
                batch.rows.append((_number(group[0]), found))
            else:
                batch.rejections += found
        if len(batch.rows) + len(batch.rejections) >= options.batch_rows:
            yield batch
            batch = _Batch()
    yield batch


def _single(read: Read) -> Generator[together.Group | Rejection, None, None]:
    for row in read():
        yield row if isinstance(row, Rejection) else [row]


def _number(row: Line | Rejection) -> int:
    return row.number if isinstance(row, Line) else row.line


# Put --------------------------------------------------------------------------------------------------------


async def _put_transactions(
    database: Database,
    committers: Committers,
    community_id: int,
    options: Options,
    rows: Sequence[TransactionRow],
) -> list[Outcome]:
    async def put(lane: int, places: Sequence[int]) -> Sequence[Kept | Refused]:
        puts = [Put(rows[place], Mode.UPSERT) for place in places]
        if options.dry_run:
            return await rehearsed(database, community_id, puts, create_profiles=options.create_profiles)
        result = await committers.put(community_id, puts, create_profiles=options.create_profiles, lane=lane)
        return result.outcomes

    unchanged = await _unchanged(database, community_id, rows)
    outcomes: list[Outcome] = ["unchanged"] * len(rows)
    changed = [place for place, row in enumerate(rows) if (row.external_id, row.fingerprint) not in unchanged]
    lanes = _lanes(rows, changed)
    # All of them end before an error goes on.
    ended = await asyncio.gather(*map(put, range(LANES), lanes), return_exceptions=True)
    for places, found in zip(lanes, ended, strict=True):
        if isinstance(found, BaseException):
            raise found
        for place, each in zip(places, found, strict=True):
            outcomes[place] = each.kind.value if isinstance(each, Kept) else each
    return outcomes


def _lanes(rows: Sequence[TransactionRow], places: Sequence[int]) -> list[list[int]]:
    """The rows that are put at once: all those that name one profile in one lane, so that none waits for the other."""
    if len(places) < LANES * LEAST_IN_LANE:
        return [list(places)] if places else []
    lanes: list[list[int]] = [[] for _ in range(LANES)]
    for place in places:
        lanes[lane_of(rows[place])].append(place)
    return [lane for lane in lanes if lane]


_UNCHANGED = """
SELECT kept.external_id, kept.fingerprint
FROM unnest($2::text::text[], $3::bytea[]) AS given (external_id, fingerprint)
JOIN transactions AS kept
    ON kept.community_id = $1
    AND kept.external_id = given.external_id
    AND kept.fingerprint = given.fingerprint
"""


async def _unchanged(
    database: Database, community_id: int, rows: Sequence[TransactionRow]
) -> set[tuple[str | None, bytes | None]]:
    """Which rows are there as they are: of a file that comes again nothing more need be done."""
    async with database.reading(community_id) as scope:
        found = await scope.fetch(
            _UNCHANGED, community_id, array([row.external_id for row in rows]), [row.fingerprint for row in rows]
        )
    return {(row["external_id"], row["fingerprint"]) for row in found}


class _RehearsedError(Exception):
    """Ends a transaction that was only to be tried."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


async def _put_rows(
    database: Database, community_id: int, put: entities.Put, options: Options, rows: Sequence[Any]
) -> list[Outcome]:
    async def work(writing: Writing) -> list[Outcome]:
        outcomes = await _by_halves(writing, put, rows)
        if options.dry_run:
            raise _RehearsedError(outcomes)
        return outcomes

    try:
        return await commit(database, community_id, work)
    except _RehearsedError as rehearsal:
        return rehearsal.outcomes


async def _by_halves(writing: Writing, put: entities.Put, rows: Sequence[Any]) -> list[Outcome]:
    """Puts rows at once; where one can't be put, finds it by halving."""
    try:
        async with writing.part():
            return list(await put(writing, rows))
    except PASSING:
        raise
    except (Refused, asyncpg.PostgresError) as error:
        if len(rows) == 1:
            return [error if isinstance(error, Refused) else refusal(error)]
    middle = len(rows) // 2
    return [
        *await _by_halves(writing, put, rows[:middle]),
        *await _by_halves(writing, put, rows[middle:]),
    ]


async def _put_communities(database: Database, options: Options, rows: Sequence[NewCommunity]) -> list[Outcome]:
    try:
        async with database.unscoped() as connection, connection.transaction():
            outcomes = [await _put_community(connection, new, database.clock()) for new in rows]
            if options.dry_run:
                raise _RehearsedError(outcomes)
            return outcomes
    except _RehearsedError as rehearsal:
        return rehearsal.outcomes


async def _put_community(connection: Any, new: NewCommunity, now: datetime) -> Outcome:
    try:
        async with connection.transaction():
            return "loaded" if await communities.put(connection, new, now) else "unchanged"
    except Refused as refused:
        return refused
