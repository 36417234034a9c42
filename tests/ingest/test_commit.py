"""A write happens exactly once, whatever becomes of the connection that carries it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from clubs import Club
from regulars.facts.refusals import NotFound
from regulars.facts.writing import Writing
from regulars.ingest import commit as commits
from regulars.ingest.commit import commit
from regulars.storage.database import Database, Scope

Owner = Any


@pytest_asyncio.fixture
async def owner(database_urls: tuple[str, str]) -> AsyncIterator[Owner]:
    """A connection of the server's owner, who may end others."""
    connection = await asyncpg.connect(database_urls[0])
    yield connection
    await connection.close()


async def end(owner: Owner, connection: Any) -> None:
    """Ends a connection's backend, and waits until it is gone."""
    assert await owner.fetchval("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())


async def insert_brand(writing: Writing, name: str = "Acme") -> None:
    await writing.execute(
        "INSERT INTO brands (community_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)",
        writing.community_id,
        name,
        writing.now,
    )


async def brands(club: Club) -> list[str]:
    async with club.database.reading(club.community.id) as scope:
        rows = await scope.fetch("SELECT name FROM brands WHERE community_id = $1", club.community.id)
    return [row["name"] for row in rows]


class EndingDatabase(Database):
    """A database whose connections end just before or just after they commit, the first time."""

    def __init__(self, club: Club, url: str, ending: Callable[[Any], Awaitable[None]], *, after: bool) -> None:
        super().__init__(url, 2, club.clock)
        self._ending = ending
        self._after = after
        self._ended = False

    @asynccontextmanager
    async def writing(self, community_id: int, first: str = "") -> AsyncIterator[Scope]:
        async with super().writing(community_id, first) as scope:
            yield scope
            if self._ended:
                return
            self._ended = True
            if self._after:
                # Committed by the server, but the word of it is lost with the connection.
                await scope.execute("COMMIT")
            await self._ending(scope.connection)


@pytest.mark.parametrize("after", [False, True])
async def test_a_connection_lost_while_it_commits_writes_once(
    club: Club, database_urls: tuple[str, str], owner: Owner, after: bool
) -> None:
    async def ending(connection: Any) -> None:
        await end(owner, connection)

    calls = 0

    async def work(writing: Writing) -> str:
        nonlocal calls
        calls += 1
        await insert_brand(writing)
        return "done"

    async with EndingDatabase(club, database_urls[1], ending, after=after) as database:
        assert await commit(database, club.community.id, work) == "done"
    assert await brands(club) == ["Acme"]
    assert calls == (1 if after else 2)


async def test_a_connection_lost_before_it_commits_writes_once(club: Club, owner: Owner) -> None:
    calls = 0

    async def work(writing: Writing) -> int:
        nonlocal calls
        calls += 1
        await insert_brand(writing)
        if calls == 1:
            await end(owner, writing.connection)
        await writing.execute("SELECT 1")
        return calls

    assert await commit(club.database, club.community.id, work) == 2
    assert await brands(club) == ["Acme"]


async def test_a_connection_that_wrote_nothing_may_be_lost(
    club: Club, database_urls: tuple[str, str], owner: Owner
) -> None:
    async def ending(connection: Any) -> None:
        await end(owner, connection)

    async def work(writing: Writing) -> str:
        return "nothing"

    async with EndingDatabase(club, database_urls[1], ending, after=False) as database:
        assert await commit(database, club.community.id, work) == "nothing"


class LostOnce(Database):
    """A database that can't be reached at first."""

    lost: asyncio.Event

    @asynccontextmanager
    async def unscoped(self) -> AsyncIterator[Any]:
        if not self.lost.is_set():
            self.lost.set()
            raise ConnectionRefusedError
        async with super().unscoped() as connection:
            yield connection


async def test_the_server_is_asked_until_it_knows(club: Club, database_urls: tuple[str, str], owner: Owner) -> None:
    database = LostOnce(database_urls[1], 1, club.clock)
    database.lost = asyncio.Event()
    async with database:
        under_way = owner.transaction()
        await under_way.start()
        transaction_id = await owner.fetchval("SELECT pg_current_xact_id()::text")
        asking = asyncio.create_task(commits._was_committed(database, transaction_id))
        await database.lost.wait()
        assert not asking.done()
        await under_way.commit()
        assert await asking is True


async def test_a_rule_of_the_tables_that_is_broken_is_told(club: Club) -> None:
    async def work(writing: Writing) -> None:
        await writing.execute(
            """
            INSERT INTO memberships (community_id, profile_id, type, at, created_at)
            VALUES ($1, $2, 'neither', $3, $3)
            """,
            writing.community_id,
            uuid.uuid4(),
            writing.now,
        )

    with pytest.raises(asyncpg.CheckViolationError):
        await commit(club.database, club.community.id, work)


async def test_a_write_makes_the_day_that_retention_could_not(club: Club) -> None:
    club.clock.step(days=400)
    body = {"total": 1, "transacted_at": "2026-10-01", "timezone": "UTC", "items": []}
    answer = await club.http.post("/api/v3/transactions", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201


async def test_who_can_not_know_says_so(club: Club, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "ASKED_FOR", 2)
    async with owner.transaction():
        under_way = await owner.fetchval("SELECT pg_current_xact_id()::text")
        with pytest.raises(commits.UnknownOutcomeError):
            await commits._was_committed(club.database, under_way)


async def test_a_connection_that_is_always_lost_is_an_error_at_last(club: Club, owner: Owner) -> None:
    async def work(writing: Writing) -> None:
        await insert_brand(writing)
        await end(owner, writing.connection)
        await writing.execute("SELECT 1")

    with pytest.raises(commits.LOST):
        await commit(club.database, club.community.id, work)
    assert await brands(club) == []


async def test_a_deadlock_has_the_whole_done_again(club: Club) -> None:
    calls = 0

    async def work(writing: Writing) -> int:
        nonlocal calls
        calls += 1
        await insert_brand(writing, f"Acme {calls}")
        if calls == 1:
            await writing.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")
        return calls

    assert await commit(club.database, club.community.id, work) == 2
    assert await brands(club) == ["Acme 2"]


async def test_a_profile_that_is_gone_meanwhile_is_told_at_last(club: Club) -> None:
    async def work(writing: Writing) -> None:
        writing.touch(uuid.uuid4(), "transaction.created")

    with pytest.raises(NotFound):
        await commit(club.database, club.community.id, work)


async def test_an_error_of_the_work_leaves_nothing(club: Club) -> None:
    async def work(writing: Writing) -> None:
        await insert_brand(writing)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await commit(club.database, club.community.id, work)
    assert await brands(club) == []
