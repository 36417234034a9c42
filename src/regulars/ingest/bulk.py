"""Loads files of facts: in batches, good rows kept, bad ones told with their line and reason."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import duckdb
import structlog

from regulars.facts import community as communities
from regulars.facts.community import NewCommunity
from regulars.facts.refusals import Refused
from regulars.facts.writing import Writing
from regulars.ingest import entities, history
from regulars.ingest.arrival import Arrival, arriving
from regulars.ingest.batches import BATCH_BYTES, Batch, Options, PutRows, Summary, loaded, stopping_at
from regulars.ingest.commit import commit
from regulars.ingest.entities import ENTITIES, PUTS, Outcome
from regulars.ingest.files import Source
from regulars.ingest.grouping import Committers
from regulars.ingest.member_counts import may_count
from regulars.ingest.row_errors import log_refusal, refusal_of
from regulars.ingest.rows import Read, Rejection
from regulars.storage.arrays import array
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.load")

_JOINING = ("profiles", "memberships")
"""What tells who was a member long before it came."""

BATCHES_AT_ONCE = 5
"""So many batches of new profiles are one commit of a large load: the more, the less is added to the same counts again
and again.
"""


async def load(
    arrival: Arrival, entity: str, read: Read, options: Options | None = None, source: Source | None = None
) -> Summary:
    """Loads the rows of one file; gives what came of them once all is durable.

    With the file itself as `source`, plain rows of Parquet go in by columns. Values are all written once the arrival
    is finished; until then they are computed when they are read.
    Raises Refused where the file as a whole is no good (a required column is missing), and what keeps a
    batch from being committed; the batches before it are kept.
    """
    options = options or Options()
    async with arrival.database.unscoped() as connection:
        community = await communities.by_id(connection, arrival.community_id)
    if entity == "transactions":
        return await history.load_file(arrival, community, read, source, options)
    decoded = partial(ENTITIES[entity].decoded, community=community)
    put = partial(_put_rows, arrival.database, arrival.community_id, PUTS[entity], options)
    if entity not in _JOINING or options.dry_run:
        return await _loaded(arrival.database, _rows(read, decoded, options.batch_rows), put, options)
    batches = _rows(read, decoded, BATCHES_AT_ONCE * options.batch_rows)
    return await _loaded(arrival.database, batches, partial(_put_joining, arrival, entity, put, options), options)


async def load_one(
    database: Database,
    committers: Committers,
    community_id: int,
    entity: str,
    read: Read,
    options: Options | None = None,
    source: Source | None = None,
) -> Summary:
    """Loads one file as an arrival of its own: all values are written by then. Raises as `load` does."""
    async with arriving(database, committers, community_id) as arrival:
        summary = await load(arrival, entity, read, options, source)
        with stopping_at(None, summary):
            await arrival.finish()
    return summary


async def load_communities(database: Database, read: Read, options: Options | None = None) -> Summary:
    """Makes or changes communities by slug; gives what came of the rows. Raises as `load` does."""
    options = options or Options()
    put = partial(_put_communities, database, options)
    return await _loaded(database, _rows(read, entities.community, options.batch_rows), put, options)


async def _loaded(database: Database, batches: Generator[Batch, None, None], put: PutRows, options: Options) -> Summary:
    summary = Summary()
    await loaded(database, batches, put, options, summary)
    summary.rejections.sort(key=lambda each: each.line)
    return summary


# Prepared in a thread ---------------------------------------------------------------------------------------


def _rows(read: Read, decoded: Callable[[bytes], Any], at_once: int) -> Generator[Batch, None, None]:
    batch, size = Batch(), 0
    for row in read():
        if isinstance(row, Rejection):
            batch.rejections.append(row)
        else:
            try:
                batch.rows.append((row.number, decoded(row.content)))
            except Refused as refused:
                batch.rejections.append(Rejection(row.number, refused.errors))
            size += len(row.content)
        if len(batch.rows) + len(batch.rejections) >= at_once or size > BATCH_BYTES:
            yield batch
            batch, size = Batch(), 0
    yield batch


# Put --------------------------------------------------------------------------------------------------------


class _RehearsedError(Exception):
    """Ends a transaction that was only to be tried."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


async def _put_joining(
    arrival: Arrival,
    entity: str,
    put: Callable[..., Awaitable[list[Outcome]]],
    options: Options,
    rows: Sequence[Any],
) -> list[Outcome]:
    at_once = arrival.is_large(len(rows)) and await may_count(arrival.database)
    outcomes: dict[int, Outcome] = {}
    if at_once and entity == "profiles":
        parts = await _new_apart(arrival, rows, options.batch_rows)
    else:
        parts = _parts(range(len(rows)), options.batch_rows)
    for places in parts:
        some = [rows[place] for place in places]
        try:
            found = await put(some, of_history=True, at_once=at_once)
        except duckdb.Error as error:
            # More than its memory holds, most likely. Nothing of the commit has stayed.
            _log.warning("load.counted_live", why=type(error).__name__)
            found = await put(some, of_history=True)
        outcomes |= zip(places, found, strict=True)
    return [outcomes[place] for place in range(len(rows))]


_KNOWN = "SELECT external_id FROM profiles WHERE community_id = $1 AND external_id = ANY ($2::text::text[])"


async def _new_apart(arrival: Arrival, rows: Sequence[Any], batch_rows: int) -> list[Sequence[int]]:
    """The places of rows of profiles by commit: those that are there, in batches, so that nobody waits long for one of
    them; all that are new; then whatever the file says of these again.
    """
    names = [row.external_id for row in rows]
    async with arrival.database.reading(arrival.community_id) as scope:
        known = {row["external_id"] for row in await scope.fetch(_KNOWN, arrival.community_id, array(names))}
    first = {name: place for place, name in reversed(list(enumerate(names))) if name not in known}
    new = sorted(first.values())
    is_new = set(new)
    there = [place for place, name in enumerate(names) if name in known]
    again = [place for place, name in enumerate(names) if name not in known and place not in is_new]
    return [*_parts(there, batch_rows), *_parts(new, len(rows)), *_parts(again, batch_rows)]


def _parts(places: Sequence[int], at_most: int) -> list[Sequence[int]]:
    return [places[start : start + at_most] for start in range(0, len(places), at_most)]


async def _put_rows(
    database: Database,
    community_id: int,
    put: entities.Put,
    options: Options,
    rows: Sequence[Any],
    *,
    of_history: bool = False,
    at_once: bool = False,
) -> list[Outcome]:
    async def work(writing: Writing) -> list[Outcome]:
        writing.of_history, writing.at_once = of_history, at_once
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
    except Exception as error:
        refused = refusal_of(error)
        if refused is None:
            raise
        if len(rows) == 1:
            log_refusal(error)
            return [refused]
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
    except Exception as error:
        refused = refusal_of(error)
        if refused is None:
            raise
        log_refusal(error)
        return refused
