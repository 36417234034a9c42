"""Loads the plain rows of a Parquet file of transactions by columns, which is most rows of a backfill.

All other rows are recorded as SlowRows; they are loaded row by row, which writes or rejects them.
"""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, BinaryIO
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from regulars.core import timestamps
from regulars.core.time_forms import ISO_FORMS
from regulars.facts.columns import Columns
from regulars.ingest import claims
from regulars.ingest.transactions import INSERT_STATEMENT, NO_ITEMS, StaleCommunityError
from regulars.ingest.write_queue import WRITERS_PER_COMMUNITY
from regulars.loading.plain_columns import PLAIN_COLUMNS, classification_statement, is_text
from regulars.loading.readers.parquet import names_of, select_columns
from regulars.model import locations
from regulars.model.community import Community
from regulars.model.profiles import lookup, profiles
from regulars.model.transactions import line_items
from regulars.model.transactions.schema import EXTERNAL_ID_OR_ID, zoned_fingerprint
from regulars.model.unit_of_work import UnitOfWork
from regulars.offline.text_functions import DUCKDB_TEXT
from regulars.storage.array_literals import array_literal

ROWS_PER_READ = 40_000
"""Rows per classification: planning the statement for a few thousand rows costs as much as running it."""


@dataclass(slots=True)
class SlowRows:
    """The rows of a file that are not plain, by row number from 1. Without flags, all rows are slow."""

    flags: bytearray = field(default_factory=bytearray)

    def add(self, number: int) -> None:
        """Records a row as slow."""
        self.flags[number - 1] = 1

    def __call__(self, number: int) -> bool:
        """Whether a row is slow."""
        return not self.flags or bool(self.flags[number - 1])


# Read ---------------------------------------------------------------------------------------------------


def read_plain_rows(
    file: BinaryIO,
    columns: Columns,
    community: Community,
    rows: int,
    slow: SlowRows,
    on_read: Callable[[int], None],
    timezone: str | None = None,
) -> Generator[list[pa.Table], None, None]:
    """Yields plain rows as one table per shard, at most `rows` rows in all; rows of one profile share a shard.

    Other rows are added to `slow`. `on_read` is called with the number of bytes read so far. `timezone` is that of the
    file. Raises ValidationError if a required column is missing.
    """
    try:
        parquet = pyarrow.parquet.ParquetFile(file)
    except (pa.ArrowException, OSError):
        # The row by row reader reports the damaged file.
        return
    targets = columns.targets(parquet.schema_arrow.names)
    fields = {ours: parquet.schema_arrow.field(index) for index, ours in targets}
    if columns.cell_format.time_forms is not ISO_FORMS and not pa.types.is_timestamp(fields["transacted_at"].type):
        # Plain rows have times in ISO 8601.
        return
    slow.flags = bytearray(parquet.metadata.num_rows)
    names = names_of(parquet, targets)
    start = 0
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        try:
            _find_duplicates(connection, parquet, fields["external_id"])
            for whole in parquet.iter_batches(batch_size=ROWS_PER_READ, columns=names):
                batch = select_columns(whole, parquet, targets)
                shards = _classify(connection, batch, community, start, slow, timezone)
                start += len(batch)
                rows_per_shard = max(1, rows // WRITERS_PER_COMMUNITY)
                for first in range(0, max(map(len, shards)), rows_per_shard):
                    yield [part for shard in shards if len(part := shard.slice(first, rows_per_shard))]
                on_read(file.tell())
        except (pa.ArrowException, OSError, duckdb.InvalidInputException):
            # A damaged file; DuckDB raises an error of its own for the stream of ids.
            for number in range(start + 1, len(slow.flags) + 1):
                slow.add(number)


def _find_duplicates(connection: duckdb.DuckDBPyConnection, parquet: Any, field: pa.Field) -> None:
    """Rows with the same external id are one transaction, wherever they are in the file: they are not plain."""
    ids = (batch.rename_columns(["external_id"]) for batch in parquet.iter_batches(columns=[field.name]))
    connection.register("ids", pa.RecordBatchReader.from_batches(pa.schema([field.with_name("external_id")]), ids))
    # Blanks around an id are no part of it.
    external_id = DUCKDB_TEXT.trim("external_id") if is_text(field.type) else "external_id"
    connection.execute(
        f"CREATE TEMP TABLE duplicates AS SELECT {external_id} AS external_id FROM ids WHERE external_id IS NOT NULL "
        "GROUP BY ALL HAVING count(*) > 1"
    )
    connection.unregister("ids")


def _classify(
    connection: duckdb.DuckDBPyConnection,
    batch: pa.RecordBatch,
    community: Community,
    start: int,
    slow: SlowRows,
    timezone: str | None,
) -> list[pa.Table]:
    numbers = pa.array(range(start + 1, start + 1 + len(batch)), pa.int64())
    connection.register("input", pa.table([*batch.columns, numbers], names=[*batch.schema.names, "number"]))
    rows = connection.sql(classification_statement(batch, community)).to_arrow_table()
    connection.unregister("input")
    is_plain = rows["is_plain"].combine_chunks().fill_null(False)
    for number in rows["number"].filter(pyarrow.compute.invert(is_plain)).to_pylist():
        slow.add(number)
    plain = _with_fingerprint(rows.filter(is_plain), timezone)
    return [
        plain.filter(pyarrow.compute.equal(plain["shard"], shard)).select(PLAIN_COLUMNS)
        for shard in range(WRITERS_PER_COMMUNITY)
    ]


def _with_fingerprint(table: pa.Table, timezone: str | None) -> pa.Table:
    digests = [hashlib.blake2b(each.encode(), digest_size=16).digest() for each in table["content"].to_pylist()]
    if timezone is not None:
        digests = [
            digest if local is None else zoned_fingerprint(digest, timezone)
            for digest, local in zip(digests, table["local"].to_pylist(), strict=True)
        ]
    return table.append_column("fingerprint", pa.array(digests, pa.binary()))


# Write --------------------------------------------------------------------------------------------------

_EXISTING = """
SELECT input.ordinal - 1 AS index, existing.fingerprint IS NOT DISTINCT FROM input.fingerprint AS is_same
FROM unnest($2::text::text[], $3::bytea[]) WITH ORDINALITY AS input (external_id, fingerprint, ordinal)
JOIN transactions AS existing ON existing.community_id = $1 AND existing.external_id = input.external_id
"""

_NOTHING_SOLD = line_items.summarize_sold([], None)


@dataclass(frozen=True, slots=True)
class FastPathResult:
    """How many plain rows were accepted and unchanged, and the numbers of those that remain to be loaded row by row:
    transactions that exist and differ, and rows that name an unknown profile.
    """

    accepted: int
    unchanged: int
    remaining: Sequence[int]


async def write_plain_rows(
    uow: UnitOfWork, table: pa.Table, currency: str, *, create_profiles: bool, timezone: str | None = None
) -> FastPathResult:
    """Writes plain rows, to the same tables and values as `transactions.write`; `timezone` is that of the file.

    Raises StaleCommunityError if `currency`, by which the rows were classified, is no longer that of the community.
    """
    if currency != uow.community.currency:
        raise StaleCommunityError
    existing = await uow.fetch(
        _EXISTING, uow.community_id, array_literal(table["external_id"].to_pylist()), table["fingerprint"].to_pylist()
    )
    remaining = [row["index"] for row in existing if not row["is_same"]]
    new = _without(range(len(table)), {row["index"] for row in existing})
    names = table["profile"].to_pylist()
    if not create_profiles:
        owners = await _owners(uow, {names[index] for index in new}, create=False)
        remaining += [index for index in new if names[index] is not None and names[index] not in owners]
        new = _without(new, set(remaining))
    locations_of_rows = table["location"].to_pylist()
    refs = {locations_of_rows[index] for index in new} - {None}
    location_ids = await locations.resolve_ids(uow, refs, create_missing=True) if refs else {}
    if create_profiles:
        owners = await _owners(uow, {names[index] for index in new}, create=True)
        remaining += [index for index in new if names[index] is not None and names[index] not in owners]
        new = _without(new, set(remaining))
    new_rows = table if len(new) == len(table) else table.take(pa.array(new, pa.int64()))
    conflicts = await _insert(uow, new_rows, owners, location_ids, timezone or uow.community.timezone)
    numbers = table["number"].to_pylist()
    remaining += [new[index] for index in conflicts]
    return FastPathResult(
        len(new) - len(conflicts), sum(row["is_same"] for row in existing), [numbers[index] for index in remaining]
    )


def _without(indexes: Sequence[int], others: set[int]) -> Sequence[int]:
    return [index for index in indexes if index not in others] if others else indexes


async def _owners(uow: UnitOfWork, names: set[str | None], *, create: bool) -> Mapping[str, UUID]:
    """Profile ids by name; with `create`, missing profiles are created, else they are left out."""
    refs = {(EXTERNAL_ID_OR_ID, name) for name in names if name is not None}
    found = await lookup.resolve(uow, refs) if refs else {}
    owners = {name: profile_id for (_, name), profile_id in found.items()}
    missing = {name for _, name in refs} - owners.keys()
    if create and missing:
        owners |= await profiles.get_or_create_ids(uow, missing)
    return owners


async def _insert(
    uow: UnitOfWork, table: pa.Table, owners: Mapping[str, UUID], location_ids: Mapping[str, int], default_zone: str
) -> list[int]:
    """Inserts rows; returns the indexes of those whose external ids another writer inserted meanwhile."""
    if not len(table):
        return []
    column = {name: table[name].to_pylist() for name in table.column_names}
    profile_ids = [None if name is None else owners[name] for name in column["profile"]]
    row_locations = [None if name is None else location_ids[name] for name in column["location"]]
    transacted_at = await _timestamps(uow, column, row_locations, default_zone)
    nulls = [None] * len(table)
    inserted = await uow.fetch(
        INSERT_STATEMENT,
        uow.community_id,
        array_literal(column["external_id"]),
        array_literal(profile_ids),
        array_literal(transacted_at),
        array_literal(column["timezone"]),
        array_literal(column["total"]),
        array_literal(column["currency"]),
        array_literal(nulls),
        array_literal(row_locations),
        array_literal([each or "" for each in column["systems"]]),
        array_literal([bool(each) for each in column["is_void"]]),
        array_literal(column["receipt_ref"]),
        array_literal(nulls),
        column["fingerprint"],
        array_literal(column["amount"]),
        array_literal([_local_date(at, zone) for at, zone in zip(transacted_at, column["timezone"], strict=True)]),
        array_literal(column["channels"]),
        array_literal([_NOTHING_SOLD.discount] * len(table)),
        array_literal([_NOTHING_SOLD.list_value] * len(table)),
        array_literal(nulls),
        array_literal(nulls),
        array_literal([_NOTHING_SOLD.overflow] * len(table)),
        uow.now,
        *NO_ITEMS,
        False,
    )
    new_ids = [(index, row["id"]) for index, row in enumerate(inserted) if row["id"] is not None]
    buyers = {profile_ids[index] for index, _ in new_ids}
    uow.mark_all_dirty((each for each in buyers if each is not None), "transaction.created")
    uow.changed_transactions.update(transaction_id for _, transaction_id in new_ids)
    uow.new_transactions.update(transaction_id for _, transaction_id in new_ids)
    for index, transaction_id in new_ids:
        uow.record_event("transaction.created", profile_ids[index], transaction_id)
    receipts = column["receipt_ref"]
    unowned = [
        transaction_id
        for index, transaction_id in new_ids
        if profile_ids[index] is None and receipts[index] is not None
    ]
    if unowned:
        await claims.attach_claimed(uow, unowned)
    return [index for index, row in enumerate(inserted) if row["id"] is None]


async def _timestamps(
    uow: UnitOfWork, column: Mapping[str, Sequence[Any]], row_locations: Sequence[int | None], default_zone: str
) -> list[datetime]:
    """Instants in UTC. A wall-clock time is in the time zone of the row, else of its location, else in `default_zone`."""
    local = column["local"]
    if not any(local):
        return [each.replace(tzinfo=UTC) for each in column["at"]]
    zones = await locations.timezones(uow, {each for each in row_locations if each is not None})
    return [
        at.replace(tzinfo=UTC)
        if naive is None
        else timestamps.local_to_utc(naive, zone or zones.get(location_id or 0) or default_zone)
        for at, naive, zone, location_id in zip(column["at"], local, column["timezone"], row_locations, strict=True)
    ]


def _local_date(at: datetime, zone: str | None) -> date | None:
    return None if zone is None else at.astimezone(timestamps.zone_info(zone)).date()
