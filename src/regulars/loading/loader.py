"""Loads files into a community, and files of communities."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
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
from regulars.loading.load_log import record_run
from regulars.loading.member_rollups import can_update_rollups, update_rollups
from regulars.loading.readers.files import FileSource
from regulars.loading.readers.rows import ReadRows, RejectedRow
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.model.unit_of_work import MemberRollupUpdate, UnitOfWork
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Database, transaction

_log = structlog.get_logger("regulars.load")

BATCHES_PER_COMMIT = 5
"""Batches of new profiles that a large load commits together: each commit updates the same counts once."""


async def load_file(
    job: LoadJob, entity: str, read: ReadRows, options: LoadOptions | None = None, source: FileSource | None = None
) -> LoadSummary:
    """Loads the rows of one file and returns their outcomes once all of them are durable.

    With `source`, the file itself, plain rows of Parquet are loaded by columns. Values of transactions are stored when
    the job is finished; until then they are computed on read. Raises ValidationError if the file as a whole is invalid,
    such as without a required column, and LoadStoppedError; batches before the error stay stored.
    """
    options = options or LoadOptions()
    if options.dry_run:
        return await _load_file(job, entity, read, options, source)
    return await record_run(
        job.database, job.community_id, entity, options, lambda: _load_file(job, entity, read, options, source)
    )


async def _load_file(
    job: LoadJob, entity: str, read: ReadRows, options: LoadOptions, source: FileSource | None
) -> LoadSummary:
    async with job.database.unscoped_connection() as connection:
        community = await communities.get_by_id(connection, job.community_id)
    if entity == "transactions":
        return await transactions.load_transactions(job, community, read, source, options)
    fact_type = FACT_TYPES[entity]
    if fact_type.schema is None or fact_type.write is None:
        raise KeyError(entity)
    community = replace(community, timezone=options.timezone or community.timezone)
    parse = partial(fact_type.schema.parse, community=community)
    write = partial(_write_rows, job.database, job.community_id, fact_type.write, options)
    if not fact_type.is_backfilled or options.dry_run:
        return await _load(job.database, _parse(read, parse, options.batch_rows), write, options)
    batches = _parse(read, parse, BATCHES_PER_COMMIT * options.batch_rows)
    return await _load(job.database, batches, partial(_write_members, job, entity, write, options), options)


async def load_and_finish(
    database: Database,
    group_committer: GroupCommitter,
    community_id: int,
    entity: str,
    read: ReadRows,
    options: LoadOptions | None = None,
    source: FileSource | None = None,
) -> LoadSummary:
    """Loads one file in a job of its own and refreshes all values. Raises as `load_file` does."""
    async with open_load_job(database, group_committer, community_id) as job:
        summary = await load_file(job, entity, read, options, source)
        with stop_on_system_error(None, summary):
            await job.finish()
    return summary


async def load_communities(database: Database, read: ReadRows, options: LoadOptions | None = None) -> LoadSummary:
    """Creates or updates communities by slug and returns the outcomes of the rows. Raises as `load_file` does."""
    options = options or LoadOptions()
    write = partial(_write_communities, database, options)
    return await _load(database, _parse(read, catalog.parse_community, options.batch_rows), write, options)


async def _load(
    database: Database, batches: Generator[ParsedBatch, None, None], write: WriteRows, options: LoadOptions
) -> LoadSummary:
    summary = LoadSummary()
    await load_batches(database, batches, write, options, summary)
    summary.rejections.sort(key=lambda each: each.line)
    return summary


# Parsed in a thread -----------------------------------------------------------------------------------------


def _parse(read: ReadRows, parse: Callable[[bytes], Any], batch_rows: int) -> Generator[ParsedBatch, None, None]:
    batch, size = ParsedBatch(), 0
    for row in read():
        if isinstance(row, RejectedRow):
            batch.rejections.append(row)
        else:
            try:
                batch.rows.append((row.number, parse(row.content)))
            except ValidationError as error:
                batch.rejections.append(RejectedRow(row.number, error.errors))
            size += len(row.content)
        if len(batch.rows) + len(batch.rejections) >= batch_rows or size > MAX_BATCH_BYTES:
            yield batch
            batch, size = ParsedBatch(), 0
    yield batch


# Written ----------------------------------------------------------------------------------------------------


async def _write_members(
    job: LoadJob,
    entity: str,
    write: Callable[..., Awaitable[list[RowOutcome]]],
    options: LoadOptions,
    rows: Sequence[Any],
) -> list[RowOutcome]:
    is_large = job.count_announced_rows(len(rows)) and await can_update_rollups(job.database)
    outcomes: dict[int, RowOutcome] = {}
    if is_large and entity == "profiles":
        parts = await _group_by_commit(job, rows, options.batch_rows)
    else:
        parts = _chunks(range(len(rows)), options.batch_rows)
    for indexes in parts:
        some = [rows[index] for index in indexes]
        try:
            written = await write(some, is_backfill=True, update_member_rollups=update_rollups if is_large else None)
        except duckdb.Error as error:
            # Most likely DuckDB ran out of memory. The commit was rolled back.
            _log.warning("load.rollup_fallback", error=type(error).__name__)
            written = await write(some, is_backfill=True)
        outcomes |= zip(indexes, written, strict=True)
    return [outcomes[index] for index in range(len(rows))]


_EXISTING = "SELECT external_id FROM profiles WHERE community_id = $1 AND external_id = ANY ($2::text::text[])"


async def _group_by_commit(job: LoadJob, rows: Sequence[Any], batch_rows: int) -> list[Sequence[int]]:
    """Indexes of rows of profiles by commit: existing profiles in batches, so that no other writer waits long for one;
    all new profiles; then further rows of new profiles.
    """
    ids = [row.external_id for row in rows]
    async with job.database.read_transaction(job.community_id) as scope:
        existing = {row["external_id"] for row in await scope.fetch(_EXISTING, job.community_id, array_literal(ids))}
    first_rows = {name: index for index, name in reversed(list(enumerate(ids))) if name not in existing}
    new = sorted(first_rows.values())
    is_new = set(new)
    updates = [index for index, name in enumerate(ids) if name in existing]
    repeated = [index for index, name in enumerate(ids) if name not in existing and index not in is_new]
    return [*_chunks(updates, batch_rows), *_chunks(new, len(rows)), *_chunks(repeated, batch_rows)]


def _chunks(indexes: Sequence[int], size: int) -> list[Sequence[int]]:
    return [indexes[start : start + size] for start in range(0, len(indexes), size)]


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
        async with database.unscoped_connection() as connection, transaction(connection):
            outcomes = [await _write_community(connection, new, database.clock()) for new in rows]
            if options.dry_run:
                raise DryRunRollback
    return outcomes


async def _write_community(connection: Any, new: NewCommunity, now: datetime) -> RowOutcome:
    try:
        async with transaction(connection):
            return "accepted" if await communities.upsert(connection, new, now) else "unchanged"
    except Exception as error:
        rejection = as_validation_error(error)
        if rejection is None:
            raise
        log_database_error(error)
        return rejection
