"""Large loads: plain rows of Parquet are loaded by columns, with the same result, and values are written at the end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from structlog.testing import capture_logs

from clubs import Club, ManualClock, create_club
from loading.file_loader import FileLoader, outcome_counts, reasons_by_line
from loading.history_files import (
    MEMBERS,
    PURCHASE_TABLES,
    STORED_TRANSACTIONS,
    comparable,
    count_dirty,
    count_outbox,
    count_plain_rows,
    fetch_rows,
    load_path,
    load_without_finishing,
    verify_differences,
    write_awkward,
    write_sales,
)
from regulars.aggregations.table import VALUE_COLUMNS
from regulars.ingest import commit as commits
from regulars.ingest.commit import commit
from regulars.ingest.transactions import StaleCommunityError
from regulars.jobs.refresh_due import refresh_community
from regulars.loading import load_job as arrivals
from regulars.loading import parquet_fast_path, refresh_dirty
from regulars.loading.batches import LoadStoppedError
from regulars.loading.load_job import open_load_job
from regulars.model.community import NewCommunity
from regulars.model.unit_of_work import UnitOfWork
from regulars.offline import pipeline
from regulars.storage import retention
from regulars.storage.database import Database


@pytest.fixture(autouse=True)
def deferred_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads defer refreshing from their first row on, and refresh profiles in several ranges."""
    monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", 0)
    monkeypatch.setattr(refresh_dirty, "MAX_PROFILES_PER_RANGE", 7)
    monkeypatch.setattr(refresh_dirty, "PROFILES_PER_WRITE", 3)


@pytest.mark.parametrize("create_profiles", [False, True])
async def test_loading_by_columns_results_in_the_same_rows_and_rejections(
    load: FileLoader, tmp_path: Path, create_profiles: bool
) -> None:
    await load.profiles("M1", "M2")
    await load("locations", "external_id,timezone\nS1,America/New_York\n")
    path = write_awkward(tmp_path / "awkward.parquet")
    assert count_plain_rows(path, load.club.community) > 50
    options: dict[str, Any] = {"batch_rows": 50, "create_profiles": create_profiles}
    ways = []
    for by_rows in (False, True):
        async with load.club.database.write_transaction(load.club.community.id) as scope:
            for table in ("transactions", "transaction_items", *PURCHASE_TABLES):
                await scope.execute(f"DELETE FROM {table} WHERE community_id = $1", load.club.community.id)
        summary = await load_path(load, path, by_rows=by_rows, **options)
        ways.append(
            (
                outcome_counts(summary),
                reasons_by_line(summary),
                comparable(await fetch_rows(load.club, STORED_TRANSACTIONS)),
            )
        )
    assert ways[0][:2] == ways[1][:2]
    differing = [
        (one["external_id"], name, one[name], other[name])
        for one, other in zip(ways[0][2], ways[1][2], strict=True)
        for name in one
        if one[name] != other[name]
    ]
    assert differing == []
    assert min(ways[0][0][0], ways[0][0][2]) > 50
    again = await load_path(load, path, **options)
    assert outcome_counts(again) == (0, ways[0][0][0], ways[0][0][2])
    assert await verify_differences(load.club) == []


@pytest.mark.parametrize(
    ("times", "totals"),
    [
        (pa.timestamp("ns"), pa.float64()),
        (pa.timestamp("ms", "UTC"), pa.decimal128(12, 2)),
        (pa.timestamp("us", "Europe/Oslo"), pa.int64()),
        (pa.date32(), pa.decimal128(9, 3)),
        (pa.timestamp("s"), pa.float32()),
    ],
    ids=str,
)
async def test_columns_of_any_type_result_in_the_same_rows(
    load: FileLoader, tmp_path: Path, times: pa.DataType, totals: pa.DataType
) -> None:
    await load.profiles("7", "8")
    at = [datetime(2026, 10, 1, 12, 30, 15, micro, tzinfo=UTC) for micro in (0, 250_000)]
    columns = {
        "external_id": pa.array([1, 2]),
        "profile": pa.array([7, 8]),
        "transacted_at": pa.array(at).cast(pa.timestamp("us")).cast(times, safe=False),
        "total": pa.array([Decimal(5), Decimal(-3)]).cast(totals, safe=False),
        # Null columns of types that are not plain; a value would be rejected row by row.
        "timezone": pa.array([None, None], pa.int32()),
        "currency": pa.array([None, None], pa.float64()),
        "is_void": pa.array([None, None], pa.string()),
        "systems": pa.array([None, None], pa.string()),
        "receipt_ref": pa.array([None, None], pa.float64()),
    }
    path = tmp_path / "typed.parquet"
    pyarrow.parquet.write_table(pa.table(columns), path)
    assert outcome_counts(await load_path(load, path)) == (2, 0, 0)
    assert outcome_counts(await load_path(load, path, by_rows=True)) == (0, 2, 0)
    assert await verify_differences(load.club) == []


async def test_values_are_right_while_profiles_are_dirty_and_are_written_once(load: FileLoader, tmp_path: Path) -> None:
    await load.profiles(*MEMBERS)
    path = write_sales(tmp_path / "sales.parquet")
    async with load_without_finishing(load, path) as arrival:
        assert await count_dirty(load.club) == len(MEMBERS)
        assert await count_outbox(load.club, "transaction.created") == 0
        before = {name: await load.values(name) for name in MEMBERS}
        heard: list[int] = []
        await arrival.finish(heard.append)
    assert sum(heard) == len(MEMBERS)
    assert before == {name: await load.values(name) for name in MEMBERS}
    assert await count_outbox(load.club, "transaction.created") == len(MEMBERS)
    assert await verify_differences(load.club) == []


async def test_the_outbox_has_the_entries_of_a_live_refresh(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = []
    for refreshed in (0, 1_000_000):
        monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", refreshed)
        names = [f"{name}-{refreshed}" for name in MEMBERS]
        await load.profiles(*names[10:])
        path = write_sales(tmp_path / "sales.parquet", 50, profile=[names[number % 20] for number in range(50)])
        async with load.club.database.write_transaction(load.club.community.id) as scope:
            for table in ("transactions", "outbox", *PURCHASE_TABLES):
                await scope.execute(f"DELETE FROM {table} WHERE community_id = $1", load.club.community.id)
        await load_path(load, path, create_profiles=True)
        rows = await fetch_rows(
            load.club,
            """
            SELECT own.external_id, entry.reason, entry.changes
            FROM outbox AS entry
            JOIN profiles AS own USING (community_id, profile_id)
            WHERE community_id = $1
            ORDER BY own.external_id
            """,
        )
        ways.append([(row["external_id"].partition("-")[0], row["reason"], bytes(row["changes"])) for row in rows])
    assert ways[0] == ways[1]
    assert {reason for _, reason, _ in ways[0]} == {"transaction.created", "profile.created"}


async def test_the_refresh_job_skips_profiles_of_a_living_load(load: FileLoader, tmp_path: Path) -> None:
    await load.profiles(*MEMBERS)
    club = load.club
    async with load_without_finishing(load, write_sales(tmp_path / "sales.parquet")):
        assert await refresh_community(club.database, club.community.id, lambda: False) == 0
        assert await count_dirty(club) == len(MEMBERS)
    assert await refresh_community(club.database, club.community.id, lambda: False) == len(MEMBERS)
    assert await count_outbox(club, "transaction.created") == len(MEMBERS)
    assert await verify_differences(club) == []


async def test_a_load_refreshes_profiles_that_a_dead_load_left_dirty(load: FileLoader, tmp_path: Path) -> None:
    await load.profiles(*MEMBERS)
    path = write_sales(tmp_path / "sales.parquet")
    async with load_without_finishing(load, path):
        pass
    assert await count_dirty(load.club) == len(MEMBERS)
    assert outcome_counts(await load_path(load, path)) == (0, 200, 0)
    assert await verify_differences(load.club) == []


async def test_a_profile_that_changes_during_the_computation_keeps_the_values_of_the_last_write(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One profile is written live, one marked by another load, one removed, each after its facts were exported."""
    await load.profiles(*MEMBERS)
    club = load.club
    write = refresh_dirty.write_values
    other = write_sales(tmp_path / "other.parquet", 1, external_id=["other"], profile=["M1"], total=[Decimal(7)])
    moved = asyncio.Event()

    async def late(*arguments: Any) -> None:
        if not moved.is_set():
            moved.set()
            ids = {
                row["external_id"]: row["profile_id"]
                for row in await fetch_rows(
                    club, "SELECT external_id, profile_id FROM profiles WHERE community_id = $1"
                )
            }
            body = {
                "transactions": [
                    {
                        "external_id": "live",
                        "profile_id": str(ids["M0"]),
                        "transacted_at": "2026-10-01 12:00:00",
                        "timezone": "UTC",
                        "total": 3,
                        "items": [],
                    }
                ]
            }
            assert (await club.http.post("/api/v3/transactions/batch.json", json=body)).status_code == 200
            assert (await club.http.delete(f"/api/v3/profiles/{ids['M2']}")).is_success
            async with load_without_finishing(load, other):
                pass
        await write(*arguments)

    monkeypatch.setattr(refresh_dirty, "MAX_PROFILES_PER_RANGE", 100)
    monkeypatch.setattr(refresh_dirty, "write_values", late)
    async with load_without_finishing(load, write_sales(tmp_path / "sales.parquet")) as arrival:
        await arrival.finish()
        assert await count_dirty(club) == 1
    monkeypatch.setattr(refresh_dirty, "write_values", write)
    assert await refresh_community(club.database, club.community.id, lambda: False) == 1
    assert await verify_differences(club) == []


async def test_dirty_profiles_of_a_dead_load_are_refreshed_by_the_next_one(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load.profiles(*MEMBERS)
    async with load_without_finishing(load, write_sales(tmp_path / "died.parquet")):
        pass
    assert await count_dirty(load.club) > 0
    monkeypatch.setattr(arrivals, "EAGER_REFRESH_ROWS", 1_000_000)
    await load("transactions", f"external_id,profile,transacted_at,total\nnext,{MEMBERS[0]},2026-10-01,3\n")
    assert await verify_differences(load.club) == []


async def test_without_temporary_tables_postgresql_refreshes_profiles(
    own_database: Database, empty_urls: tuple[str, str], clock: ManualClock, tmp_path: Path
) -> None:
    await retention.maintain_partitions(own_database, 7)
    with psycopg.connect(empty_urls[0], autocommit=True) as owner:
        (name,) = owner.execute("SELECT current_database()").fetchone() or ("",)
        owner.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC".encode())
    new = NewCommunity(slug="own", name="Own", country="NO", timezone="UTC", currency="NOK")
    async for club in create_club(own_database, clock, new):
        load = FileLoader(club, tmp_path)
        await load.profiles(*MEMBERS)
        await load_path(load, write_sales(tmp_path / "sales.parquet"))
        assert await count_outbox(club, "transaction.created") == len(MEMBERS)
        assert await verify_differences(club) == []


async def test_postgresql_refreshes_profiles_where_duckdb_can_not(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MAX_LOCATIONS", 1)
    await load.profiles(*MEMBERS)
    with capture_logs() as logs:
        await load_path(load, write_sales(tmp_path / "sales.parquet"))
    monkeypatch.undo()
    assert {each["event"] for each in logs} == {"load.refresh_fallback"}
    assert await verify_differences(load.club) == []


async def test_a_database_that_is_lost_during_the_refresh_stops_the_load(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*arguments: Any) -> None:
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    monkeypatch.setattr(refresh_dirty, "_refresh_range", lost)
    await load.profiles(*MEMBERS)
    with pytest.raises(LoadStoppedError) as stopped:
        await load_path(load, write_sales(tmp_path / "sales.parquet"))
    assert stopped.value.progress == {"line": None, "accepted": 200, "unchanged": 0, "rejected": 0}


async def test_blanks_around_an_external_id_are_no_part_of_it(load: FileLoader, tmp_path: Path) -> None:
    for ids in (["T1", "T2", " T1"], ["T3\u00a0", "T3", "T4"]):
        path = write_sales(tmp_path / "sales.parquet", 3, external_id=ids, profile=[None] * 3)
        assert outcome_counts(await load_path(load, path)) == (2, 0, 0)
        before = await load.transactions()
        assert outcome_counts(await load_path(load, path)) == (0, 2, 0)
        assert outcome_counts(await load_path(load, path, by_rows=True)) == (0, 2, 0)
        assert await load.transactions() == before


async def test_rows_that_the_database_rejects_by_columns_are_loaded_row_by_row(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(uow: UnitOfWork, *arguments: Any) -> None:
        await uow.fetchval("SELECT 1 / 0")

    monkeypatch.setattr(parquet_fast_path, "_insert", refused)
    await load.profiles(*MEMBERS)
    assert outcome_counts(await load_path(load, write_sales(tmp_path / "sales.parquet"))) == (200, 0, 0)
    assert await verify_differences(load.club) == []


async def test_a_transient_error_is_not_retried_row_by_row(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*arguments: Any) -> None:
        raise asyncpg.DeadlockDetectedError("again and again")

    monkeypatch.setattr(parquet_fast_path, "_insert", lost)
    monkeypatch.setattr(commits, "MAX_ATTEMPTS", 1)
    await load.profiles(*MEMBERS)
    with pytest.raises(LoadStoppedError) as stopped:
        await load_path(load, write_sales(tmp_path / "sales.parquet"))
    assert isinstance(stopped.value.__cause__, asyncpg.DeadlockDetectedError)
    assert stopped.value.progress == {"line": 1, "accepted": 0, "unchanged": 0, "rejected": 0}


async def test_a_row_that_a_concurrent_load_inserts_is_unchanged(
    load: FileLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load.profiles(*MEMBERS)
    path = write_sales(tmp_path / "sales.parquet")
    assert outcome_counts(await load_path(load, path)) == (200, 0, 0)
    monkeypatch.setattr(parquet_fast_path, "_EXISTING", f"{parquet_fast_path._EXISTING} WHERE input.ordinal = 1")
    assert outcome_counts(await load_path(load, path)) == (0, 200, 0)
    assert await verify_differences(load.club) == []


async def test_rows_that_were_validated_by_another_currency_are_rejected(load: FileLoader, tmp_path: Path) -> None:
    async def work(uow: UnitOfWork) -> None:
        await parquet_fast_path.write_plain_rows(uow, pa.table({}), "SEK", create_profiles=False)

    with pytest.raises(StaleCommunityError):
        await commit(load.club.database, load.club.community.id, work)


async def test_a_damaged_file_is_rejected_at_the_same_row_by_columns_and_by_rows(
    load: FileLoader, tmp_path: Path
) -> None:
    await load.profiles(*MEMBERS)
    path = write_sales(tmp_path / "sales.parquet", 100)
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(path), path, row_group_size=50, compression="none")
    content = bytearray(path.read_bytes())
    second = pyarrow.parquet.read_metadata(path).row_group(1).column(0)
    start = second.dictionary_page_offset or second.data_page_offset
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    by_columns = await load_path(load, path)
    by_rows = await load_path(load, path, by_rows=True)
    assert (by_columns.rejections, by_columns.accepted) == (by_rows.rejections, by_rows.unchanged)
    path.write_bytes(b"PAR1 and nothing")
    assert "damaged" in (await load_path(load, path)).rejections[0].reason


async def test_every_value_of_a_dirty_profile_is_stored_as_computed(load: FileLoader, tmp_path: Path) -> None:
    """COPY preserves lists, texts with quotes, decimals and dates."""
    brands = ['a "b"', "c\\d", "e,f", "ø", "{}"]
    lines = "".join(
        f'T{n},M1,2026-10-0{n + 1},10,S{n},"{brand.replace(chr(34), chr(34) * 2)}",A\n'
        for n, brand in enumerate(brands)
    )
    await load.profiles("M1")
    await load("transactions", "external_id,profile,transacted_at,total,location,brand,name\n" + lines)
    (row,) = await fetch_rows(
        load.club, f"SELECT {', '.join(VALUE_COLUMNS)} FROM profile_aggregations WHERE community_id = $1"
    )
    assert sorted(brands) == sorted(
        next(
            value for value in row.values() if isinstance(value, list) and value[:1] != [] and isinstance(value[0], str)
        )
    )
    assert await verify_differences(load.club) == []


async def test_each_load_has_its_own_id(club: Club) -> None:
    async with open_load_job(club.database, club.server.group_committer, club.community.id) as one:
        first = await one.defer_refresh()
        assert await one.defer_refresh() == first
        async with open_load_job(club.database, club.server.group_committer, club.community.id) as two:
            assert await two.defer_refresh() > first


async def test_a_live_write_refreshes_a_dirty_profile(club: Club) -> None:
    async def nothing(uow: UnitOfWork) -> int | None:
        return uow.load_id

    assert await commit(club.database, club.community.id, nothing) is None
