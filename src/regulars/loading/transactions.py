"""Loads files of transactions: plain rows of Parquet by columns, all other rows one by one."""

from collections.abc import Generator, Sequence
from functools import partial

import asyncpg
import pyarrow as pa
import pyarrow.compute

from regulars.core.errors import ValidationError, field_error
from regulars.facts.fact_type import RowOutcome
from regulars.ingest.group_commit import dry_run_writes
from regulars.ingest.transactions import StaleCommunityError, StoredTransaction, TransactionWrite, WriteMode
from regulars.loading import catalog
from regulars.loading.batches import (
    MAX_BATCH_BYTES,
    LoadOptions,
    LoadSummary,
    ParsedBatch,
    analyze_if_grown,
    load_batches,
    stop_on_system_error,
)
from regulars.loading.group_lines import LineGroup, group_lines
from regulars.loading.load_job import LoadJob, gather_all
from regulars.loading.parquet_fast_path import FastPathResult, SlowRows, read_plain_rows, write_plain_rows
from regulars.loading.prefetch import prefetch
from regulars.loading.readers.files import FileFormat, FileSource
from regulars.loading.readers.rows import RawRow, ReadRows, RejectedRow
from regulars.loading.transaction_lines import ParsedTransaction, parse_transaction
from regulars.model.community import Community
from regulars.model.transactions.schema import TransactionRow, zoned_fingerprint
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Database
from regulars.storage.errors import is_row_error


async def load_transactions(
    job: LoadJob, community: Community, read: ReadRows, source: FileSource | None, options: LoadOptions
) -> LoadSummary:
    """Loads the rows of one file; `source` is the file itself if it may be Parquet."""
    summary = LoadSummary()
    try:
        if source is not None and source.format is FileFormat.PARQUET and not options.dry_run:
            slow = SlowRows()
            await _load_plain(job, community, source, slow, options, summary)
            columns = catalog.columns_of("transactions", source.options)
            read = partial(source.rows, columns, row_filter=slow)
        batches = _parse(read, community, options)
        await load_batches(job.database, batches, partial(_write_transactions, job, options), options, summary)
    except StaleCommunityError:
        raise field_error(
            "", "The currency of the community was changed during the load: load the file again"
        ) from None
    summary.rejections.sort(key=lambda each: each.line)
    return summary


# Plain rows -------------------------------------------------------------------------------------------------


async def _load_plain(
    job: LoadJob, community: Community, source: FileSource, slow: SlowRows, options: LoadOptions, summary: LoadSummary
) -> None:
    with source.open() as file:
        columns = source.interpret(catalog.columns_of("transactions", source.options))
        tables = read_plain_rows(
            file, columns, community, options.batch_rows, slow, source.set_position, options.timezone
        )
        announced = 0
        async with prefetch(tables) as prefetched:
            async for shards in prefetched:
                first = min(pyarrow.compute.min(shard["number"]).as_py() for shard in shards)
                with stop_on_system_error(first, summary):
                    await job.announce_rows(len(slow.flags) - announced)
                    announced = len(slow.flags)
                    for result in await gather_all(partial(_write_shard, job, community, options), shards):
                        summary.accepted += result.accepted
                        summary.unchanged += result.unchanged
                        for number in result.remaining:
                            slow.add(number)
                    await analyze_if_grown(job.database, sum(map(len, shards)))
                options.on_progress(summary)


async def _write_shard(job: LoadJob, community: Community, options: LoadOptions, table: pa.Table) -> FastPathResult:
    async def work(uow: UnitOfWork) -> FastPathResult:
        return await write_plain_rows(
            uow, table, community.currency, create_profiles=options.create_profiles, timezone=options.timezone
        )

    try:
        return await job.commit(work)
    except asyncpg.PostgresError as error:
        if not is_row_error(error):
            raise
        # The load row by row finds the row that the database rejects.
        return FastPathResult(0, 0, table["number"].to_pylist())


# Row by row -------------------------------------------------------------------------------------------------


def _parse(read: ReadRows, community: Community, options: LoadOptions) -> Generator[ParsedBatch, None, None]:
    batch, size = ParsedBatch(), 0
    for group in _ungrouped(read) if options.unique_ids else group_lines(read):
        if isinstance(group, RejectedRow):
            batch.rejections.append(group)
        else:
            parsed = parse_transaction(group, community, is_strict=options.is_strict)
            if isinstance(parsed, ParsedTransaction):
                row = parsed.row
                if options.timezone is not None and row.local_time is not None:
                    _set_zone(row, options.timezone)
                batch.rows.append((_number(group[0]), row))
                if parsed.differing:
                    batch.warnings.append(RejectedRow(parsed.line, dict.fromkeys(parsed.differing, _DIFFERS)))
            else:
                batch.rejections += parsed
            size += sum(len(row.content) for row in group if isinstance(row, RawRow))
        if len(batch.rows) + len(batch.rejections) >= options.batch_rows or size > MAX_BATCH_BYTES:
            yield batch
            batch, size = ParsedBatch(), 0
    yield batch


_DIFFERS = "differs within a transaction: the first line with a value decides (--strict rejects such transactions)"


def _set_zone(row: TransactionRow, timezone: str) -> None:
    row.default_zone = timezone
    row.fingerprint = zoned_fingerprint(row.fingerprint or b"", timezone)


def _ungrouped(read: ReadRows) -> Generator[LineGroup | RejectedRow, None, None]:
    for row in read():
        yield row if isinstance(row, RejectedRow) else [row]


def _number(row: RawRow | RejectedRow) -> int:
    return row.number if isinstance(row, RawRow) else row.line


async def _write_transactions(job: LoadJob, options: LoadOptions, rows: Sequence[TransactionRow]) -> list[RowOutcome]:
    unchanged = await _unchanged(job.database, job.community_id, rows)
    outcomes: list[RowOutcome] = ["unchanged"] * len(rows)
    changed = [index for index, row in enumerate(rows) if (row.external_id, row.fingerprint) not in unchanged]
    results = await _write_changed(job, options, [rows[index] for index in changed])
    for index, result in zip(changed, results, strict=True):
        outcomes[index] = result.status.value if isinstance(result, StoredTransaction) else result
    return outcomes


async def _write_changed(
    job: LoadJob, options: LoadOptions, rows: Sequence[TransactionRow]
) -> Sequence[StoredTransaction | ValidationError]:
    if not options.dry_run:
        await job.announce_rows(len(rows))
        return await job.write(rows, create_profiles=options.create_profiles)
    writes = [TransactionWrite(row, WriteMode.UPSERT) for row in rows]
    return await dry_run_writes(job.database, job.community_id, writes, create_profiles=options.create_profiles)


_UNCHANGED = """
SELECT existing.external_id, existing.fingerprint
FROM unnest($2::text::text[], $3::bytea[]) AS input (external_id, fingerprint)
JOIN transactions AS existing
    ON existing.community_id = $1
    AND existing.external_id = input.external_id
    AND existing.fingerprint = input.fingerprint
"""


async def _unchanged(
    database: Database, community_id: int, rows: Sequence[TransactionRow]
) -> set[tuple[str | None, bytes | None]]:
    """External id and fingerprint of the rows that are stored already, so that loading a file again is cheap."""
    async with database.read_transaction(community_id) as scope:
        found = await scope.fetch(
            _UNCHANGED,
            community_id,
            array_literal([row.external_id for row in rows]),
            [row.fingerprint for row in rows],
        )
    return {(row["external_id"], row["fingerprint"]) for row in found}
