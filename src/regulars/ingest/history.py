"""Loads files of transactions: plain rows of Parquet by columns, all others row by row."""

from collections.abc import Generator, Sequence
from functools import partial

import asyncpg
import pyarrow as pa
import pyarrow.compute

from regulars.facts.community import Community
from regulars.facts.refusals import Refused, refuse
from regulars.facts.transactions import TransactionRow
from regulars.facts.writing import Writing
from regulars.ingest import entities, together
from regulars.ingest.ahead import prepared
from regulars.ingest.arrival import Arrival, at_once
from regulars.ingest.batches import BATCH_BYTES, Batch, Options, Summary, loaded, looked_at, stopping_at
from regulars.ingest.entities import Outcome
from regulars.ingest.files import Format, Source
from regulars.ingest.grouping import rehearsed
from regulars.ingest.plain_puts import Came, put_plain
from regulars.ingest.plain_rows import Left, plain_rows
from regulars.ingest.rows import Line, Read, Rejection
from regulars.ingest.transaction_lines import transaction
from regulars.ingest.transactions import Kept, Mode, OutdatedError, Put
from regulars.storage.arrays import array
from regulars.storage.database import Database
from regulars.storage.errors import concerns_row


async def load_file(
    arrival: Arrival, community: Community, read: Read, source: Source | None, options: Options
) -> Summary:
    """Loads the rows of one file, which is `source` where it is one that may have plain rows."""
    summary = Summary()
    try:
        if source is not None and source.format is Format.PARQUET and not options.dry_run:
            left = Left()
            await _load_plain(arrival, community, source, left, options, summary)
            read = partial(source.rows, entities.columns_of("transactions"), only=left)
        batches = _transactions(read, community, options)
        await loaded(arrival.database, batches, partial(_put_transactions, arrival, options), options, summary)
    except OutdatedError:
        raise refuse("", "The community's currency was changed while the file was read: load it again") from None
    summary.rejections.sort(key=lambda each: each.line)
    return summary


# Plain rows -------------------------------------------------------------------------------------------------


async def _load_plain(
    arrival: Arrival, community: Community, source: Source, left: Left, options: Options, summary: Summary
) -> None:
    with source.opened() as file:
        columns = entities.columns_of("transactions")
        tables = plain_rows(file, columns, community, options.batch_rows, left, source.moved_to)
        expected = 0
        async with prepared(tables) as upcoming:
            async for lanes in upcoming:
                first = min(pyarrow.compute.min(lane["number"]).as_py() for lane in lanes)
                with stopping_at(first, summary):
                    await arrival.expect(len(left.flags) - expected)
                    expected = len(left.flags)
                    for came in await at_once(partial(_put_lane, arrival, community, options), lanes):
                        summary.loaded += came.loaded
                        summary.unchanged += came.unchanged
                        for number in came.left:
                            left.add(number)
                    await looked_at(arrival.database, sum(map(len, lanes)))
                options.progress(summary)


async def _put_lane(arrival: Arrival, community: Community, options: Options, table: pa.Table) -> Came:
    async def work(writing: Writing) -> Came:
        return await put_plain(writing, table, community.currency, create_profiles=options.create_profiles)

    try:
        return await arrival.commit(work)
    except asyncpg.PostgresError as error:
        if not concerns_row(error):
            raise
        # Which row it is that the database refuses is found row by row.
        return Came(0, 0, table["number"].to_pylist())


# Row by row -------------------------------------------------------------------------------------------------


def _transactions(read: Read, community: Community, options: Options) -> Generator[Batch, None, None]:
    batch, size = Batch(), 0
    for group in _single(read) if options.single else together.groups(read):
        if isinstance(group, Rejection):
            batch.rejections.append(group)
        else:
            found = transaction(group, community)
            if isinstance(found, TransactionRow):
                batch.rows.append((_number(group[0]), found))
            else:
                batch.rejections += found
            size += sum(len(row.content) for row in group if isinstance(row, Line))
        if len(batch.rows) + len(batch.rejections) >= options.batch_rows or size > BATCH_BYTES:
            yield batch
            batch, size = Batch(), 0
    yield batch


def _single(read: Read) -> Generator[together.Group | Rejection, None, None]:
    for row in read():
        yield row if isinstance(row, Rejection) else [row]


def _number(row: Line | Rejection) -> int:
    return row.number if isinstance(row, Line) else row.line


async def _put_transactions(arrival: Arrival, options: Options, rows: Sequence[TransactionRow]) -> list[Outcome]:
    unchanged = await _unchanged(arrival.database, arrival.community_id, rows)
    outcomes: list[Outcome] = ["unchanged"] * len(rows)
    changed = [place for place, row in enumerate(rows) if (row.external_id, row.fingerprint) not in unchanged]
    found = await _put_changed(arrival, options, [rows[place] for place in changed])
    for place, each in zip(changed, found, strict=True):
        outcomes[place] = each.kind.value if isinstance(each, Kept) else each
    return outcomes


async def _put_changed(arrival: Arrival, options: Options, rows: Sequence[TransactionRow]) -> Sequence[Kept | Refused]:
    if not options.dry_run:
        await arrival.expect(len(rows))
        return await arrival.put(rows, create_profiles=options.create_profiles)
    puts = [Put(row, Mode.UPSERT) for row in rows]
    return await rehearsed(arrival.database, arrival.community_id, puts, create_profiles=options.create_profiles)


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
