"""A write that was acknowledged is stored exactly once after a crash of the server."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from clubs import START
from regulars.bootstrap import schema_statements
from regulars.ingest.commit import commit
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import partitions
from regulars.storage import embedded, retention
from regulars.storage.database import Database, Scope
from regulars.storage.errors import CommitStatusUnknownError, is_system_error
from regulars.storage.migrate import migrate, role_of

Urls = tuple[str, str]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A new connection, once the server accepts connections again."""
    while True:
        try:
            connection = await asyncpg.connect(url)
        except (asyncpg.PostgresError, OSError):
            await asyncio.sleep(0.02)
            continue
        try:
            yield connection
        finally:
            # Not closed, because the server may be down.
            connection.terminate()
        return


@pytest_asyncio.fixture(scope="module")
async def crashing() -> AsyncIterator[Urls]:
    """The URLs of a server whose backends may be killed: it restarts by itself. WAL that no commit needs stays in
    memory, where a crash loses it.
    """
    with tempfile.TemporaryDirectory(prefix="regulars-test-") as folder, embedded.run_server(Path(folder)) as urls:
        migrate(urls[0], role_of(urls[1]), schema_statements())
        async with connected(urls[0]) as owner:
            for setting in ("wal_writer_delay = '10s'", "autovacuum = off", "commit_siblings = 0"):
                await owner.execute(f"ALTER SYSTEM SET {setting}")
            await owner.execute("SELECT pg_reload_conf()")
        yield urls


@asynccontextmanager
async def opened(urls: Urls, kind: type[Database] = Database) -> AsyncIterator[tuple[Any, int]]:
    """A pool of the server's role, and a community."""
    async with kind(urls[1], 10, lambda: START) as database:
        await retention.maintain_partitions(database, 7)
        await partitions.ensure(database)
        async with database.unscoped_connection() as connection:
            found = await connection.fetchval("SELECT count(*) FROM communities")
            new = NewCommunity(slug=f"club-{found}", name="Club", country="NO", timezone="UTC", currency="NOK")
            community = await communities.create(connection, new, START)
        yield database, community.id


async def insert_brand(scope: Scope, name: str) -> None:
    await scope.execute(
        "INSERT INTO brands (community_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)",
        scope.community_id,
        name,
        START,
    )


async def brands(database: Database, community_id: int) -> list[str]:
    async with database.read_transaction(community_id) as scope:
        rows = await scope.fetch("SELECT name FROM brands WHERE community_id = $1 ORDER BY name", community_id)
    return [row["name"] for row in rows]


class CrashingDatabase(Database):
    """A server that crashes when the first write is about to commit; another transaction then reuses its id."""

    owner_url = ""
    has_crashed = False
    is_reused = False

    @asynccontextmanager
    async def write_transaction(
        self, community_id: int, first_statement: str = "", last_statement: str = ""
    ) -> AsyncIterator[Scope]:
        async with super().write_transaction(community_id, first_statement, last_statement) as scope:
            yield scope
            if self.has_crashed:
                return
            self.has_crashed = True
            own_id = await scope.fetchval("SELECT pg_current_xact_id()::text::bigint")
            process_id = scope.connection.get_server_pid()
            async with connected(self.owner_url) as owner:
                os.kill(process_id, signal.SIGKILL)
                # The server terminates all backends once it has noticed.
                with suppress(asyncpg.PostgresError, OSError):
                    await owner.execute("SELECT pg_sleep(60)")
            async with connected(self.owner_url) as owner:
                while await owner.fetchval("SELECT pg_current_xact_id()::text::bigint") < own_id:
                    continue
                status = await owner.fetchval("SELECT pg_xact_status($1::text::xid8)", str(own_id))
            self.is_reused = status == "committed"


async def test_the_commit_of_another_transaction_with_the_same_id_proves_nothing(
    crashing: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CrashingDatabase, "owner_url", crashing[0])
    async with opened(crashing, CrashingDatabase) as (database, community_id):
        async with connected(crashing[0]) as owner:
            # So that ids from before the crash are durable only by a commit.
            await owner.execute("CHECKPOINT")
        await commit(database, community_id, lambda uow: insert_brand(uow, "Acme"))
        # Otherwise the test would prove nothing.
        assert database.is_reused
        assert await brands(database, community_id) == ["Acme"]


ROUNDS = 4
WRITERS = 8


_COMMITTING = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%; COMMIT' AND state = 'active' LIMIT 1"


async def committing_backend(url: str) -> int:
    """The process id of a backend that is committing."""
    while True:
        # The previous crash may end this connection too.
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            async with connected(url) as owner:
                while (process_id := await owner.fetchval(_COMMITTING)) is None:
                    continue
                return int(process_id)


def _has_grown(stored: list[str], before: int) -> bool:
    return len(stored) >= before + WRITERS


async def test_writers_whose_server_crashes_during_commit_write_once(crashing: Urls) -> None:
    stored: list[str] = []
    crashed = 0
    progress = asyncio.Condition()

    async def write(database: Database, community_id: int, writer: int) -> None:
        count = 0
        while crashed < ROUNDS:
            name = f"{writer}-{count}"
            count += 1

            async def work(uow: UnitOfWork, name: str = name) -> None:
                await insert_brand(uow, name)

            is_unknown = False
            while True:
                try:
                    await commit(database, community_id, work)
                except CommitStatusUnknownError:
                    # Sent again, as the response says; only then may it be stored already.
                    is_unknown = True
                    continue
                except asyncpg.UniqueViolationError:
                    if not is_unknown:
                        raise
                except Exception as error:
                    if not is_system_error(error):
                        raise
                    # The server reports that nothing was stored: sent again, as a client does.
                    continue
                stored.append(name)
                async with progress:
                    progress.notify_all()
                break

    async def crash() -> None:
        nonlocal crashed
        while crashed < ROUNDS:
            before = len(stored)
            async with progress:
                await progress.wait_for(partial(_has_grown, stored, before))
            with suppress(ProcessLookupError):
                os.kill(await committing_backend(crashing[0]), signal.SIGKILL)
            crashed += 1

    async with connected(crashing[0]) as owner:
        await owner.execute("ALTER ROLE regulars_app SET commit_delay = 20000")
    async with opened(crashing) as (database, community_id):
        async with asyncio.TaskGroup() as tasks:
            for writer in range(WRITERS):
                tasks.create_task(write(database, community_id, writer))
            tasks.create_task(crash())
        assert len(stored) >= ROUNDS * WRITERS
        there = await brands(database, community_id)
        assert set(stored) - set(there) == set(), "reported as stored, and lost"
        assert there == sorted(stored)
