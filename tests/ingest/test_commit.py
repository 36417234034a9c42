"""A commit happens exactly once, even if its connection is lost."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from clubs import Club
from regulars.core.errors import NotFoundError
from regulars.ingest import commit_markers
from regulars.ingest.commit import commit
from regulars.ingest.commit_markers import CommitMarker, new_marker
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import compaction
from regulars.storage.database import Database, Scope
from regulars.storage.errors import CONNECTION_ERRORS, CommitStatusUnknownError

Owner = Any


@pytest_asyncio.fixture
async def owner(database_urls: tuple[str, str]) -> AsyncIterator[Owner]:
    """A connection of the database owner, which may terminate others."""
    connection = await asyncpg.connect(database_urls[0])
    yield connection
    await connection.close()


async def end(owner: Owner, connection: Any) -> None:
    """Terminates the backend of a connection and waits until it has ended."""
    assert await owner.fetchval("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())


async def insert_brand(uow: UnitOfWork, name: str = "Acme") -> None:
    await uow.execute(
        "INSERT INTO brands (community_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)",
        uow.community_id,
        name,
        uow.now,
    )


async def brands(club: Club) -> list[str]:
    async with club.database.read_transaction(club.community.id) as scope:
        rows = await scope.fetch("SELECT name FROM brands WHERE community_id = $1", club.community.id)
    return [row["name"] for row in rows]


class EndingDatabase(Database):
    """A database whose first connection ends just before or just after its COMMIT."""

    def __init__(self, club: Club, url: str, ending: Callable[[Any], Awaitable[None]], *, after: bool) -> None:
        super().__init__(url, 2, club.clock)
        self._ending = ending
        self._after = after
        self._ended = False

    @asynccontextmanager
    async def write_transaction(
        self, community_id: int, first_statement: str = "", last_statement: str = ""
    ) -> AsyncIterator[Scope]:
        async with super().write_transaction(community_id, first_statement, last_statement) as scope:
            yield scope
            if self._ended:
                return
            self._ended = True
            if self._after:
                # Committed by the server, but its response is lost with the connection.
                await scope.execute(f"{last_statement}; COMMIT")
            await self._ending(scope.connection)


@pytest.mark.parametrize("after", [False, True])
async def test_a_connection_lost_during_commit_writes_once(
    club: Club, database_urls: tuple[str, str], owner: Owner, after: bool
) -> None:
    async def ending(connection: Any) -> None:
        await end(owner, connection)

    calls = 0

    async def work(uow: UnitOfWork) -> str:
        nonlocal calls
        calls += 1
        await insert_brand(uow)
        return "done"

    async with EndingDatabase(club, database_urls[1], ending, after=after) as database:
        assert await commit(database, club.community.id, work) == "done"
    assert await brands(club) == ["Acme"]
    assert calls == (1 if after else 2)


async def test_a_connection_lost_before_commit_writes_once(club: Club, owner: Owner) -> None:
    calls = 0

    async def work(uow: UnitOfWork) -> int:
        nonlocal calls
        calls += 1
        await insert_brand(uow)
        if calls == 1:
            await end(owner, uow.connection)
        await uow.execute("SELECT 1")
        return calls

    assert await commit(club.database, club.community.id, work) == 2
    assert await brands(club) == ["Acme"]


async def test_a_connection_that_wrote_nothing_may_be_lost(
    club: Club, database_urls: tuple[str, str], owner: Owner
) -> None:
    async def ending(connection: Any) -> None:
        await end(owner, connection)

    async def work(uow: UnitOfWork) -> str:
        return "nothing"

    async with EndingDatabase(club, database_urls[1], ending, after=False) as database:
        assert await commit(database, club.community.id, work) == "nothing"


@asynccontextmanager
async def open_marker_transaction(database: Database, marker: CommitMarker) -> AsyncIterator[Scope]:
    """The transaction that writes a marker, up to its COMMIT."""
    async with database.write_transaction(marker.community_id, marker.lock) as scope:
        await scope.fetchval("SELECT pg_current_xact_id()")
        await scope.execute(marker.insert)
        yield scope


@pytest.mark.parametrize("commits", [True, False])
async def test_a_look_up_waits_for_the_transaction_to_end(club: Club, owner: Owner, commits: bool) -> None:
    marker = new_marker(club.community.id, club.clock().date())
    started, ending = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with open_marker_transaction(club.database, marker):
            started.set()
            await ending.wait()
            if not commits:
                raise KeyError

    task = asyncio.create_task(write())
    await started.wait()
    looking_up = asyncio.create_task(marker.is_committed(club.database))
    while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        assert not looking_up.done()
    ending.set()
    assert await looking_up is commits
    with nullcontext() if commits else pytest.raises(KeyError):
        await task


class AwayOnce(Database):
    """A database that can't be reached at first."""

    is_away = True

    @asynccontextmanager
    async def write_transaction(
        self, community_id: int, first_statement: str = "", last_statement: str = ""
    ) -> AsyncIterator[Scope]:
        if self.is_away:
            self.is_away = False
            raise ConnectionRefusedError
        async with super().write_transaction(community_id, first_statement, last_statement) as scope:
            yield scope


async def test_a_look_up_waits_for_the_server(club: Club, database_urls: tuple[str, str]) -> None:
    marker = new_marker(club.community.id, club.clock().date())
    async with open_marker_transaction(club.database, marker):
        pass
    async with AwayOnce(database_urls[1], 1, club.clock) as database:
        assert await marker.is_committed(database)


async def test_an_outcome_that_can_not_be_looked_up_in_time_is_unknown(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_markers, "LOOKUP_TIMEOUT_SECONDS", 0.2)
    marker = new_marker(club.community.id, club.clock().date())
    async with open_marker_transaction(club.database, marker):
        with pytest.raises(CommitStatusUnknownError):
            await marker.is_committed(club.database)


async def test_an_error_of_the_look_up_that_is_not_a_system_error_is_raised(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        commit_markers, "_IS_COMMITTED", "SELECT $1::int = 1 / ($2::date - $2::date) AND $3::uuid IS NULL"
    )
    with pytest.raises(asyncpg.DivisionByZeroError):
        await new_marker(club.community.id, club.clock().date()).is_committed(club.database)


async def test_a_swallowed_database_error_fails_the_commit(club: Club) -> None:
    async def work(scope: Scope) -> None:
        with suppress(asyncpg.DivisionByZeroError):
            await scope.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await commit(club.database, club.community.id, work)
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        async with club.database.write_transaction(club.community.id) as scope:
            await work(scope)


async def test_a_compaction_that_fails_after_the_commit_does_not_fail_the_write(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(database: Database, community_id: int, delta_rows: int) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(compaction, "apply_backpressure", failing)
    await commit(club.database, club.community.id, insert_brand)
    assert await brands(club) == ["Acme"]


async def test_a_violated_constraint_is_raised(club: Club) -> None:
    async def work(uow: UnitOfWork) -> None:
        await uow.execute(
            """
            INSERT INTO memberships (community_id, profile_id, type, occurred_at, created_at)
            VALUES ($1, $2, 'neither', $3, $3)
            """,
            uow.community_id,
            uuid.uuid4(),
            uow.now,
        )

    with pytest.raises(asyncpg.CheckViolationError):
        await commit(club.database, club.community.id, work)


async def test_a_write_creates_a_missing_partition(club: Club) -> None:
    club.clock.advance(days=400)
    body = {"total": 1, "transacted_at": "2026-10-01", "timezone": "UTC", "items": []}
    answer = await club.http.post("/api/v3/transactions", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201


async def test_a_connection_that_is_always_lost_is_an_error(club: Club, owner: Owner) -> None:
    async def work(uow: UnitOfWork) -> None:
        await insert_brand(uow)
        await end(owner, uow.connection)
        await uow.execute("SELECT 1")

    with pytest.raises(CONNECTION_ERRORS):
        await commit(club.database, club.community.id, work)
    assert await brands(club) == []


async def test_a_deadlock_is_retried(club: Club) -> None:
    calls = 0

    async def work(uow: UnitOfWork) -> int:
        nonlocal calls
        calls += 1
        await insert_brand(uow, f"Acme {calls}")
        if calls == 1:
            await uow.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")
        return calls

    assert await commit(club.database, club.community.id, work) == 2
    assert await brands(club) == ["Acme 2"]


async def test_a_profile_that_another_writer_removes_is_an_error_after_retries(club: Club) -> None:
    async def work(uow: UnitOfWork) -> None:
        uow.mark_dirty(uuid.uuid4(), "transaction.created")

    with pytest.raises(NotFoundError):
        await commit(club.database, club.community.id, work)


async def test_an_error_of_the_work_rolls_everything_back(club: Club) -> None:
    async def work(uow: UnitOfWork) -> None:
        await insert_brand(uow)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await commit(club.database, club.community.id, work)
    assert await brands(club) == []
