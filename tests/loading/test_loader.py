"""Loading in batches: progress, dry runs, rejected rows and prefetching."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from clubs import Club
from loading.file_loader import FileLoader, outcome_counts
from regulars.core.errors import NotFoundError, ValidationError
from regulars.facts.fact_type import RowOutcome
from regulars.loading import batches, loader
from regulars.loading.batches import LoadOptions
from regulars.loading.prefetch import prefetch
from regulars.loading.readers.rows import RawRow, RejectedRow
from regulars.model.unit_of_work import UnitOfWork


async def test_batches_have_the_configured_size_and_report_progress(load: FileLoader) -> None:
    progress: list[int] = []
    rejected: list[RejectedRow] = []
    rows = "".join(f"T{number},,2026-10-01,{number or 'x'}\n" for number in range(25))
    summary = await load(
        "transactions",
        "external_id,profile,transacted_at,total\n" + rows,
        batch_rows=10,
        on_progress=lambda so_far: progress.append(so_far.rows),
        on_rejected=rejected.append,
    )
    assert outcome_counts(summary) == (24, 0, 1)
    assert progress == [10, 20, 25]
    assert [each.line for each in rejected] == [2]


async def test_rows_that_only_the_database_rejects_are_found_by_bisection(club: Club) -> None:
    attempts: list[int] = []

    async def write(uow: UnitOfWork, rows: Sequence[int]) -> list[RowOutcome]:
        attempts.append(len(rows))
        if len(attempts) == 1:
            raise asyncpg.DeadlockDetectedError("once")
        return [str(await uow.fetchval("SELECT 10 / $1::int", row)) for row in rows]

    outcomes = await loader._write_rows(club.database, club.community.id, write, LoadOptions(), [1, 0, 5])
    assert (outcomes[0], outcomes[2]) == ("10", "2")
    assert str(outcomes[1]) == ": The row holds a value that the database can't store"
    assert attempts == [3, 3, 1, 2, 1, 1]


async def test_a_missing_column_is_an_error_of_the_file(load: FileLoader) -> None:
    with pytest.raises(ValidationError, match="type: is a required column"):
        await load("memberships", "profile,at\nM1,2026-01-01\n")


async def test_loading_into_an_unknown_community_is_an_error(load: FileLoader) -> None:
    with pytest.raises(NotFoundError):
        await loader.load_and_finish(
            load.club.database, load.club.server.group_committer, -1, "profiles", lambda: iter(())
        )


@pytest.mark.parametrize(
    ("entity", "content", "expected"),
    [
        (
            "transactions",
            "external_id,profile,transacted_at,total\nT1,M1,2026-10-01,5\nT2,M9,2026-10-01,5\nT3,,x,5\n",
            (1, 0, 2),
        ),
        ("profiles", "external_id,email\nM1,\nM2,ola@example.com\nM3,OLA@example.com\n", (1, 1, 1)),
    ],
)
async def test_a_dry_run_reports_outcomes_and_stores_nothing(
    load: FileLoader, entity: str, content: str, expected: tuple[int, int, int]
) -> None:
    await load.profiles("M1")
    assert outcome_counts(await load(entity, content, dry_run=True)) == expected
    assert await load.transactions() == {}
    assert await load.fetchval("SELECT count(*) FROM profiles WHERE true") == 1
    assert outcome_counts(await load(entity, content)) == expected


async def test_a_dry_run_of_stored_rows_is_unchanged(load: FileLoader) -> None:
    content = "external_id,profile,transacted_at,total\nT1,,2026-10-01,5\n"
    await load("transactions", content)
    assert outcome_counts(await load("transactions", content, dry_run=True)) == (0, 1, 0)


async def test_rows_with_unique_ids_are_read_once(load: FileLoader) -> None:
    reads: list[int] = []

    def read() -> Any:
        reads.append(1)
        yield RawRow(1, b'{"external_id": "T1", "transacted_at": "2026-10-01", "total": 5}')
        yield RejectedRow(2, {"": "is not UTF-8"})

    club = load.club
    summary = await loader.load_and_finish(
        club.database,
        club.server.group_committer,
        club.community.id,
        "transactions",
        read,
        LoadOptions(unique_ids=True),
    )
    assert (outcome_counts(summary), reads) == ((1, 0, 1), [1])


async def test_all_rejections_are_counted_and_the_first_are_reported(load: FileLoader) -> None:
    content = "external_id,birth_year\n" + "".join(
        f"M{number},0\n" for number in range(batches.MAX_REPORTED_REJECTIONS + 5)
    )
    summary = await load("profiles", content, batch_rows=100)
    assert outcome_counts(summary) == (0, 0, batches.MAX_REPORTED_REJECTIONS + 5)
    assert [each.line for each in summary.rejections] == list(range(2, batches.MAX_REPORTED_REJECTIONS + 2))


async def test_tables_are_analyzed_after_many_rows(load: FileLoader) -> None:
    rows = "".join(f"{load.club.community.slug}-{number}\n" for number in range(5 * batches.ANALYZE_MIN_ROWS))
    summary = await load("locations", "external_id\n" + rows, batch_rows=batches.ANALYZE_MIN_ROWS)
    assert outcome_counts(summary) == (5 * batches.ANALYZE_MIN_ROWS, 0, 0)
    async with load.club.database.unscoped_connection() as connection:
        assert await connection.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'locations'") > 0


async def test_a_prefetched_generator_is_closed_when_its_user_fails() -> None:
    closed: list[bool] = []

    def numbers() -> Any:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    async def until_three() -> None:
        async with prefetch(numbers()) as prefetched:
            async for number in prefetched:
                if number == 3:
                    raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await until_three()
    assert closed == [True]


async def test_a_prefetched_generator_is_closed_however_often_its_user_is_cancelled() -> None:
    going_on = threading.Event()
    closed: list[bool] = []

    def numbers() -> Any:
        try:
            going_on.wait()
            yield 1
        finally:
            closed.append(True)

    async def all_of_them() -> None:
        async with prefetch(numbers()) as prefetched:
            async for _ in prefetched:
                pass

    task = asyncio.create_task(all_of_them())
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    asyncio.get_running_loop().call_soon(going_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]
