"""Loads files of facts: in batches, good rows kept, bad ones told with their line and reason."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import duckdb
import structlog

from regulars.core.errors import ValidationError
from regulars.facts.fact_type import RowOutcome
from regulars.facts.fact_type import WriteRows as WriteFactRows
from regulars.facts.registry import FACT_TYPES
from regulars.ingest.batch_write import DryRunRollback, dry_run, write_valid_rows
from regulars.ingest.commit import commit
from regulars.ingest.group_commit import GroupCommitter
from regulars.ingest.row_errors import as_validation_error, log_database_error
from regulars.loading import catalog, transactions
from regulars.loading.batches import (
    MAX_BATCH_BYTES,
    LoadOptions,
    LoadSummary,
    ParsedBatch,
    WriteRows,
    load_batches,
    stop_on_system_error,
)
from regulars.loading.load_job import LoadJob, open_load_job
from regulars.loading.member_rollups import can_update_rollups, update_rollups
from regulars.loading.readers.files import FileSource
from regulars.loading.readers.rows import ReadRows, RejectedRow
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.model.unit_of_work import MemberRollupUpdate, UnitOfWork
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.load")

BATCHES_PER_COMMIT = 5
"""So many batches of new profiles are one commit of a large load: the more, the less is added to the same counts again
and again.
"""


async def load_file(
    job: LoadJob, entity: str, read: ReadRows, options: LoadOptions | None = None, source: FileSource | None = None
) -> LoadSummary:
    """Loads the rows of one file; gives what came of them once all is durable.

    With the file itself as `source`, plain rows of Parquet go in by columns. Values are all written once the arrival
    is finished; until then they are computed when they are read.
    Raises Refused where the file as a whole is no good (a required column is missing), and what keeps a
    batch from being committed; the batches before it are kept.
    """
    options = options or LoadOptions()
    async with job.database.unscoped_connection() as connection:
        community = await communities.get_by_id(connection, job.community_id)
    if entity == "transactions":
        return await transactions.load_transactions(job, community, read, source, options)
    fact_type = FACT_TYPES[entity]
    if fact_type.schema is None or fact_type.write is None:
        raise KeyError(entity)
    decoded = partial(fact_type.schema.parse, community=community)
    put = partial(_write_rows, job.database, job.community_id, fact_type.write, options)
    if not fact_type.is_backfilled or options.dry_run:
        return await _loaded(job.database, _rows(read, decoded, options.batch_rows), put, options)
    batches = _rows(read, decoded, BATCHES_PER_COMMIT * options.batch_rows)
    return await _loaded(job.database, batches, partial(_put_joining, job, entity, put, options), options)


async def load_and_finish(
    database: Database,
    committers: GroupCommitter,
    community_id: int,
    entity: str,
    read: ReadRows,
    options: LoadOptions | None = None,
    source: FileSource | None = None,
) -> LoadSummary:
    """Loads one file as an arrival of its own: all values are written by then. Raises as `load` does."""
    async with open_load_job(database, committers, community_id) as arrival:
        summary = await load_file(arrival, entity, read, options, source)
        with stop_on_system_error(None, summary):
            await arrival.finish()
    return summary


async def load_communities(database: Database, read: ReadRows, options: LoadOptions | None = None) -> LoadSummary:
    """Makes or changes communities by slug; gives what came of the rows. Raises as `load` does."""
    options = options or LoadOptions()
    put = partial(_write_communities, database, options)
    return await _loaded(database, _rows(read, catalog.parse_community, options.batch_rows), put, options)


async def _loaded(
    database: Database, batches: Generator[ParsedBatch, None, None], put: WriteRows, options: LoadOptions
) -> LoadSummary:
    summary = LoadSummary()
    await load_batches(database, batches, put, options, summary)
    summary.rejections.sort(key=lambda each: each.line)
    return summary


# Prepared in a thread ---------------------------------------------------------------------------------------


def _rows(read: ReadRows, decoded: Callable[[bytes], Any], at_once: int) -> Generator[ParsedBatch, None, None]:
    batch, size = ParsedBatch(), 0
    for row in read():
        if isinstance(row, RejectedRow):
            batch.rejections.append(row)
        else:
            try:
                batch.rows.append((row.number, decoded(row.content)))
            except ValidationError as refused:
                batch.rejections.append(RejectedRow(row.number, refused.errors))
            size += len(row.content)
        if len(batch.rows) + len(batch.rejections) >= at_once or size > MAX_BATCH_BYTES:
            yield batch
            batch, size = ParsedBatch(), 0
    yield batch


# Put --------------------------------------------------------------------------------------------------------


async def _put_joining(
    arrival: LoadJob,
    entity: str,
    put: Callable[..., Awaitable[list[RowOutcome]]],
    options: LoadOptions,
    rows: Sequence[Any],
) -> list[RowOutcome]:
    at_once = arrival.count_announced_rows(len(rows)) and await can_update_rollups(arrival.database)
    outcomes: dict[int, RowOutcome] = {}
    if at_once and entity == "profiles":
        parts = await _new_apart(arrival, rows, options.batch_rows)
    else:
        parts = _parts(range(len(rows)), options.batch_rows)
    for places in parts:
        some = [rows[place] for place in places]
        try:
            found = await put(some, is_backfill=True, update_member_rollups=update_rollups if at_once else None)
        except duckdb.Error as error:
            # More than its memory holds, most likely. Nothing of the commit has stayed.
            _log.warning("load.counted_live", why=type(error).__name__)
            found = await put(some, is_backfill=True)
        outcomes |= zip(places, found, strict=True)
    return [outcomes[place] for place in range(len(rows))]


_KNOWN = "SELECT external_id FROM profiles WHERE community_id = $1 AND external_id = ANY ($2::text::text[])"


async def _new_apart(arrival: LoadJob, rows: Sequence[Any], batch_rows: int) -> list[Sequence[int]]:
    """The places of rows of profiles by commit: those that are there, in batches, so that nobody waits long for one of
    them; all that are new; then whatever the file says of these again.
    """
    names = [row.external_id for row in rows]
    async with arrival.database.read_transaction(arrival.community_id) as scope:
        known = {row["external_id"] for row in await scope.fetch(_KNOWN, arrival.community_id, array_literal(names))}
    first = {name: place for place, name in reversed(list(enumerate(names))) if name not in known}
    new = sorted(first.values())
    is_new = set(new)
    there = [place for place, name in enumerate(names) if name in known]
    again = [place for place, name in enumerate(names) if name not in known and place not in is_new]
    return [*_parts(there, batch_rows), *_parts(new, len(rows)), *_parts(again, batch_rows)]


def _parts(places: Sequence[int], at_most: int) -> list[Sequence[int]]:
    return [places[start : start + at_most] for start in range(0, len(places), at_most)]


async def _write_rows(
    database: Database,
    community_id: int,
    write: WriteFactRows,
    options: LoadOptions,
    rows: Sequence[Any],
    *,
    is_backfill: bool = False,
    update_member_rollups: MemberRollupUpdate | None = None,
) -> list[RowOutcome]:
    async def work(uow: UnitOfWork) -> list[RowOutcome]:
        uow.is_backfill, uow.update_member_rollups = is_backfill, update_member_rollups
        return await write_valid_rows(uow, rows, partial(write, uow))

    return await (dry_run if options.dry_run else commit)(database, community_id, work)


async def _write_communities(
    database: Database, options: LoadOptions, rows: Sequence[NewCommunity]
) -> list[RowOutcome]:
    outcomes: list[RowOutcome] = []
    with suppress(DryRunRollback):
        async with database.unscoped_connection() as connection, connection.transaction():
            outcomes = [await _write_community(connection, new, database.clock()) for new in rows]
            if options.dry_run:
                raise DryRunRollback
    return outcomes


async def _write_community(connection: Any, new: NewCommunity, now: datetime) -> RowOutcome:
    try:
        async with connection.transaction():
            return "loaded" if await communities.upsert(connection, new, now) else "unchanged"
    except Exception as error:
        refused = as_validation_error(error)
        if refused is None:
            raise
        log_database_error(error)
        return refused
