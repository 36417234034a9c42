"""Loads files of transactions: plain rows of Parquet by columns, all others row by row."""

from collections.abc import Generator, Sequence
from functools import partial

import asyncpg
import pyarrow as pa
import pyarrow.compute

from regulars.core.errors import ValidationError, field_error
from regulars.facts.fact_type import RowOutcome
from regulars.ingest.group_commit import dry_run_writes
from regulars.ingest.transactions import StaleCommunityError, StoredTransaction, TransactionWrite, WriteMode
from regulars.loading import catalog, group_lines
from regulars.loading.batches import (
    MAX_BATCH_BYTES,
    LoadOptions,
    LoadSummary,
    ParsedBatch,
    analyze_if_grown,
    load_batches,
    stop_on_system_error,
)
from regulars.loading.load_job import LoadJob, gather_all
from regulars.loading.plain_rows import SlowRows, read_plain_rows
from regulars.loading.plain_writes import FastPathResult, write_plain_rows
from regulars.loading.prefetch import prefetch
from regulars.loading.readers.files import FileFormat, FileSource
from regulars.loading.readers.rows import RawRow, ReadRows, RejectedRow
from regulars.loading.transaction_lines import parse_transaction
from regulars.model.community import Community
from regulars.model.transactions.schema import TransactionRow
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal
from regulars.storage.database import Database
from regulars.storage.errors import is_row_error


async def load_transactions(
    arrival: LoadJob, community: Community, read: ReadRows, source: FileSource | None, options: LoadOptions
) -> LoadSummary:
    """Loads the rows of one file, which is `source` where it is one that may have plain rows."""
    summary = LoadSummary()
    try:
        if source is not None and source.format is FileFormat.PARQUET and not options.dry_run:
            left = SlowRows()
            await _load_plain(arrival, community, source, left, options, summary)
            read = partial(source.rows, catalog.columns_of("transactions"), row_filter=left)
        batches = _transactions(read, community, options)
        await load_batches(arrival.database, batches, partial(_put_transactions, arrival, options), options, summary)
    except StaleCommunityError:
        raise field_error("", "The community's currency was changed while the file was read: load it again") from None
    summary.rejections.sort(key=lambda each: each.line)
    return summary


# Plain rows -------------------------------------------------------------------------------------------------


async def _load_plain(
    arrival: LoadJob,
    community: Community,
    source: FileSource,
    left: SlowRows,
    options: LoadOptions,
    summary: LoadSummary,
) -> None:
    with source.open() as file:
        columns = catalog.columns_of("transactions")
        tables = read_plain_rows(file, columns, community, options.batch_rows, left, source.set_position)
        expected = 0
        async with prefetch(tables) as upcoming:
            async for lanes in upcoming:
                first = min(pyarrow.compute.min(lane["number"]).as_py() for lane in lanes)
                with stop_on_system_error(first, summary):
                    await arrival.announce_rows(len(left.flags) - expected)
                    expected = len(left.flags)
                    for came in await gather_all(partial(_put_lane, arrival, community, options), lanes):
                        summary.loaded += came.loaded
                        summary.unchanged += came.unchanged
                        for number in came.remaining:
                            left.add(number)
                    await analyze_if_grown(arrival.database, sum(map(len, lanes)))
                options.on_progress(summary)


async def _put_lane(arrival: LoadJob, community: Community, options: LoadOptions, table: pa.Table) -> FastPathResult:
    async def work(uow: UnitOfWork) -> FastPathResult:
        return await write_plain_rows(uow, table, community.currency, create_profiles=options.create_profiles)

    try:
        return await arrival.commit(work)
    except asyncpg.PostgresError as error:
        if not is_row_error(error):
            raise
        # Which row it is that the database refuses is found row by row.
        return FastPathResult(0, 0, table["number"].to_pylist())


# Row by row -------------------------------------------------------------------------------------------------


def _transactions(read: ReadRows, community: Community, options: LoadOptions) -> Generator[ParsedBatch, None, None]:
    batch, size = ParsedBatch(), 0
    for group in _single(read) if options.unique_ids else group_lines.group_lines(read):
        if isinstance(group, RejectedRow):
            batch.rejections.append(group)
        else:
            found = parse_transaction(group, community)
            if isinstance(found, TransactionRow):
                batch.rows.append((_number(group[0]), found))
            else:
                batch.rejections += found
            size += sum(len(row.content) for row in group if isinstance(row, RawRow))
        if len(batch.rows) + len(batch.rejections) >= options.batch_rows or size > MAX_BATCH_BYTES:
            yield batch
            batch, size = ParsedBatch(), 0
    yield batch


def _single(read: ReadRows) -> Generator[group_lines.LineGroup | RejectedRow, None, None]:
    for row in read():
        yield row if isinstance(row, RejectedRow) else [row]


def _number(row: RawRow | RejectedRow) -> int:
    return row.number if isinstance(row, RawRow) else row.line


async def _put_transactions(arrival: LoadJob, options: LoadOptions, rows: Sequence[TransactionRow]) -> list[RowOutcome]:
    unchanged = await _unchanged(arrival.database, arrival.community_id, rows)
    outcomes: list[RowOutcome] = ["unchanged"] * len(rows)
    changed = [place for place, row in enumerate(rows) if (row.external_id, row.fingerprint) not in unchanged]
    found = await _put_changed(arrival, options, [rows[place] for place in changed])
    for place, each in zip(changed, found, strict=True):
        outcomes[place] = each.status.value if isinstance(each, StoredTransaction) else each
    return outcomes


async def _put_changed(
    arrival: LoadJob, options: LoadOptions, rows: Sequence[TransactionRow]
) -> Sequence[StoredTransaction | ValidationError]:
    if not options.dry_run:
        await arrival.announce_rows(len(rows))
        return await arrival.write(rows, create_profiles=options.create_profiles)
    puts = [TransactionWrite(row, WriteMode.UPSERT) for row in rows]
    return await dry_run_writes(arrival.database, arrival.community_id, puts, create_profiles=options.create_profiles)


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
    async with database.read_transaction(community_id) as scope:
        found = await scope.fetch(
            _UNCHANGED,
            community_id,
            array_literal([row.external_id for row in rows]),
            [row.fingerprint for row in rows],
        )
    return {(row["external_id"], row["fingerprint"]) for row in found}
