"""What an export promises of its snapshot, its file, its progress and its faults."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from backports import zstd

from exports.conftest import ExportClubs
from exports.export_reader import export, exported_rows, queried_rows, read_ndjson
from regulars.exports import record_rows
from regulars.exports.compression import FileCompression
from regulars.exports.export import ExportSummary, require_exportable, write_export
from regulars.exports.formats import ExportFormat
from regulars.exports.writers.writer import ExportWriter
from regulars.query.bucket_windows import BucketWindows
from regulars.query.errors import ErrorCollector, InvalidParametersError
from regulars.query.parser.request import parse_whole_query
from regulars.query.parser.time_range import TimeRange
from regulars.query.query import ReportQuery
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.storage.database import Database
from reports.club_fixture import ClubFixture

pytestmark = pytest.mark.xdist_group("exports")

BODY = {"report": "members"}


def query(body: dict[str, Any]) -> ReportQuery:
    """A query to be exported."""
    return parse_whole_query(dict(body), REPORTS_BY_NAME, ErrorCollector())


# Requests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["page_info", "limit"])
def test_an_export_has_no_pages(key: str) -> None:
    with pytest.raises(InvalidParametersError) as raised:
        query({"report": "members", key: 1})
    (error,) = raised.value.errors[(key,)]
    assert error.code == "unknown"
    assert key not in error.message.partition("Allowed")[2]


def test_other_keys_belong_to_the_caller() -> None:
    parsed = parse_whole_query(
        {"report": "members", "format": "csv"}, REPORTS_BY_NAME, ErrorCollector(), other_keys=("format",)
    )
    assert parsed.report.name == "members"


async def test_invalid_parameters_are_found_before_anything_is_written(clubs: ExportClubs, tmp_path: Path) -> None:
    body = {"report": "members_count_history", "from": "2026-10-02T00:00:00Z", "to": "2026-10-01T00:00:00"}
    now = clubs.oslo.clock()
    with pytest.raises(InvalidParametersError, match="before"):
        require_exportable(query(body), clubs.tenants(1), now=now)
    file = tmp_path / "file.csv"
    with pytest.raises(InvalidParametersError):
        await write_export(query(body), clubs.tenants(1), clubs.backends, ExportFormat.CSV, file, now=now)
    assert not file.exists()


def test_a_range_far_into_the_future_has_too_many_buckets(clubs: ExportClubs) -> None:
    body = {"report": "member_balance", "interval": "5m", "from": "1950-01-01T00:00:00", "to": "2990-01-01T00:00:00"}
    with pytest.raises(InvalidParametersError, match="at most 100000 are allowed"):
        require_exportable(query(body), clubs.tenants(2), now=clubs.oslo.clock())


async def test_money_of_several_currencies_is_not_added_up_but_exported_by_customer(clubs: ExportClubs) -> None:
    tenants = clubs.tenants(2)
    tenants[1] = replace(tenants[1], currency="JPY", minor_digits=0)
    body = {"report": "transactions_stats", "from": "2025-01-01", "to": "2026-11-01"}
    with pytest.raises(InvalidParametersError, match="different currencies"):
        await exported_rows(clubs, tenants, body)
    rows = await exported_rows(clubs, tenants, body, with_customer_columns=True)
    assert [row["customer_id"] for row in rows] == [each.customer_id for each in tenants]
    (in_minor_units,) = await queried_rows(clubs, tenants[1:], body)
    assert rows[1]["net_amount"] == in_minor_units["net_amount"]


# Ranges longer than answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
async def test_a_long_range_is_exported_in_windows(
    clubs: ExportClubs, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"report": "transactions_history", "from": "2020-01-01T00:00:00", "to": "2027-01-01T00:00:00"}
    rows = await exported_rows(clubs, clubs.tenants(count), {**body, "interval": "1d"})
    taken: list[int] = []
    take = BucketWindows.take

    def take_one(self: BucketWindows, buckets: int) -> TimeRange | None:
        taken.append(buckets)
        return take(self, 1)

    monkeypatch.setattr(BucketWindows, "take", take_one)
    one_by_one = await exported_rows(clubs, clubs.tenants(count), {**body, "interval": "1mo"})
    assert max(taken) == 150
    sales = [sum(row["value"] for row in found if row["metric"] == "transactions") for found in (rows, one_by_one)]
    assert sales[0] == sales[1] == 120 * count


async def test_buckets_that_have_expired_are_left_out(clubs: ExportClubs) -> None:
    body = {"report": "member_balance", "interval": "5m", "from": "1990-01-01T00:00:00", "to": "2026-11-01T00:00:00"}
    rows = await exported_rows(clubs, clubs.tenants(2), body)
    assert "2026-10-18" <= min(row["bucket"] for row in rows) < "2026-10-20"


async def test_windows_become_smaller_where_buckets_have_many_values(
    clubs: ExportClubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"report": "members_count_history", "from": "2026-10-01T00:00:00", "to": "2026-11-01T00:00:00"}
    rows = await exported_rows(clubs, clubs.tenants(1), body)
    monkeypatch.setattr("regulars.exports.series_rows._WINDOW_ROWS", 30)
    assert await exported_rows(clubs, clubs.tenants(1), body) == rows


# Customers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        {"report": "members_count", "aggregate_by": "by_gender"},
        {"report": "member_balance", "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"},
        {"report": "sendings_stats", "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"},
    ],
    ids=lambda body: body["report"],
)
async def test_each_customer_is_exported_with_its_id_and_name(clubs: ExportClubs, body: dict[str, Any]) -> None:
    rows = await exported_rows(clubs, clubs.tenants(2), body, with_customer_columns=True)
    customers = dict.fromkeys((row["customer_id"], row["customer_name"]) for row in rows)
    assert list(customers) == [(each.customer_id, each.name) for each in clubs.tenants(2)]
    assert list(rows[0])[:2] == ["customer_id", "customer_name"]
    if "from" not in body:
        for tenant in clubs.tenants(2):
            own = [
                {key: value for key, value in row.items() if not key.startswith("customer_")}
                for row in rows
                if row["customer_id"] == tenant.customer_id
            ]
            assert own == await queried_rows(clubs, [tenant], body)


# Snapshot -----------------------------------------------------------------------------------------------------


async def test_an_export_shows_the_snapshot_of_its_start(clubs: ExportClubs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_rows, "CHUNK_BYTES", 1)
    before = await queried_rows(clubs, clubs.tenants(2), BODY)
    writes: list[Future[None]] = []
    loop = asyncio.get_running_loop()

    async def write(number: int) -> None:
        rows = [{"external_id": f"new {number}", "optin_channel": "web", "joined_at": "2026-10-31T00:00:00Z"}]
        await ClubFixture(clubs.kolkata).load("profiles", rows)
        await ClubFixture(clubs.oslo).load(
            "profiles", [{"external_id": "M0", "gender": ("female", "male")[number % 2]}]
        )

    def on_progress(rows: int) -> None:
        number = len(writes)
        future = asyncio.run_coroutine_threadsafe(write(number), loop)
        if number < 3:
            # The export does not go on before the write is committed.
            future.result()
        writes.append(future)

    file = io.BytesIO()
    await write_export(
        query(BODY),
        clubs.tenants(2),
        clubs.backends,
        ExportFormat.NDJSON,
        file,
        now=clubs.oslo.clock(),
        on_progress=on_progress,
    )
    assert read_ndjson(file.getvalue()) == before
    await asyncio.gather(*(asyncio.wrap_future(each) for each in writes))
    assert len(await queried_rows(clubs, clubs.tenants(2), BODY)) > len(before)


async def test_values_that_are_not_stored_are_computed(clubs: ExportClubs) -> None:
    body = {"report": "member_aggregations"}
    database, community = clubs.oslo.database, clubs.oslo.community.id
    before = await exported_rows(clubs, clubs.tenants(1), body)
    async with database.write_transaction(community) as scope:
        await scope.execute(
            "UPDATE profile_aggregations SET spend_all = 0, values_version = -1 WHERE community_id = $1", community
        )
    assert await exported_rows(clubs, clubs.tenants(1), body) == before
    assert await queried_rows(clubs, clubs.tenants(1), body) == before


# Files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ExportFormat, ids=lambda each: each.code)
async def test_files_are_compressed_on_request(clubs: ExportClubs, file_format: ExportFormat) -> None:
    body = {"report": "members_grouped_count"}
    plain, _ = await export(clubs, clubs.tenants(1), body, file_format)
    decompress: dict[FileCompression, Callable[[bytes], bytes]] = {
        FileCompression.GZIP: gzip.decompress,
        FileCompression.ZSTD: zstd.decompress,
    }
    for compression, decompressed in decompress.items():
        content, summary = await export(clubs, clubs.tenants(1), body, file_format, compression=compression)
        assert summary.bytes == len(content)
        if file_format is not ExportFormat.XLSX:  # which contains the time
            assert decompressed(content) == plain
    assert file_format.file_name("members", compression).endswith(f"{file_format.extension}.zst")


@pytest.mark.parametrize("file_format", ExportFormat, ids=lambda each: each.code)
async def test_an_export_without_rows_is_a_valid_file(clubs: ExportClubs, file_format: ExportFormat) -> None:
    body = {"report": "members", "filter": {"type": "equal", "field": "gender", "value": "none"}}
    content, summary = await export(clubs, clubs.tenants(1), body, file_format)
    assert summary.rows == 0
    assert (len(content) > 0) == (file_format is not ExportFormat.NDJSON)


async def test_progress_counts_rows(clubs: ExportClubs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(record_rows, "CHUNK_BYTES", 1)
    counted: list[int] = []
    summary = await write_export(
        query(BODY),
        clubs.tenants(2),
        clubs.backends,
        ExportFormat.CSV,
        tmp_path / "file.csv",
        now=clubs.oslo.clock(),
        on_progress=counted.append,
    )
    assert counted == sorted(counted)
    assert counted[-1] == summary.rows
    assert (tmp_path / "file.csv").stat().st_size == summary.bytes


@pytest.mark.parametrize("file_format", ExportFormat, ids=lambda each: each.code)
async def test_rows_are_never_all_in_memory(
    clubs: ExportClubs, file_format: ExportFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_rows, "CHUNK_BYTES", 1)
    batches: list[weakref.ref[pa.RecordBatch]] = []
    alive: list[int] = []

    write = file_format.writer.write

    def count(writer: ExportWriter, batch: pa.RecordBatch) -> None:
        batches.append(weakref.ref(batch))
        alive.append(sum(each() is not None for each in batches))
        write(writer, batch)

    monkeypatch.setattr(file_format.writer, "write", count)
    _, summary = await export(clubs, clubs.tenants(2), BODY, file_format)
    assert summary.rows > 10
    assert len(batches) > 1
    assert set(alive) == {1}


# Faults -------------------------------------------------------------------------------------------------------


async def require_clean_connections(database: Database) -> None:
    """Uses every connection of the pool."""

    async def check() -> None:
        async with database.pool.acquire() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT 1") == 1
            assert await connection.fetchval("SELECT count(*) FROM members") == 0

    await asyncio.gather(*(check() for _ in range(4)))


@pytest.fixture
def full() -> Iterator[BinaryIO]:
    """A file on a full disk."""
    with Path("/dev/full").open("wb", buffering=0) as opened:
        yield opened


@pytest.mark.parametrize("compression", [None, *FileCompression])
@pytest.mark.parametrize("file_format", ExportFormat, ids=lambda each: each.code)
async def test_a_full_disk_is_an_error(
    clubs: ExportClubs, file_format: ExportFormat, compression: FileCompression | None, full: BinaryIO
) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        await write_export(
            query(BODY),
            clubs.tenants(2),
            clubs.backends,
            file_format,
            full,
            compression=compression,
            now=clubs.oslo.clock(),
        )
    await require_clean_connections(clubs.oslo.database)


@pytest.mark.parametrize("file_format", ExportFormat, ids=lambda each: each.code)
async def test_a_cancelled_export_leaves_no_file_and_a_clean_connection(
    clubs: ExportClubs, file_format: ExportFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_rows, "CHUNK_BYTES", 1)
    file = tmp_path / "file"
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[ExportSummary]] = []
    existed: list[bool] = []

    def on_progress(rows: int) -> None:
        loop.call_soon_threadsafe(tasks[0].cancel)
        existed.append(file.exists())

    task = asyncio.create_task(
        write_export(
            query(BODY),
            clubs.tenants(2),
            clubs.backends,
            file_format,
            file,
            now=clubs.oslo.clock(),
            on_progress=on_progress,
        )
    )
    tasks.append(task)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert existed
    assert all(existed)
    assert os.listdir(tmp_path) == []
    await require_clean_connections(clubs.oslo.database)
