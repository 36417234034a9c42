"""Connecting to a database that is not available yet, and losing the connection within a transaction."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import asyncpg
import psycopg
import pytest

from regulars.storage import database
from regulars.storage.database import Database, transaction
from regulars.storage.errors import DATABASE_ERRORS


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Exception]]:
    """Makes the next attempts to connect fail with these errors; those that are left are the result."""
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.0)
    create_pool = asyncpg.create_pool

    def fail(*errors: Exception) -> list[Exception]:
        left = list(errors)

        async def connect(*arguments: object, **options: object) -> object:
            if left:
                raise left.pop(0)
            return await create_pool(*arguments, **options)

        monkeypatch.setattr(asyncpg, "create_pool", connect)
        return left

    return fail


async def test_opening_waits_for_a_server_that_is_restarting(
    database_urls: tuple[str, str], failing: Callable[..., list[Exception]]
) -> None:
    left = failing(ConnectionRefusedError(), asyncpg.CannotConnectNowError("starting up"))
    opened = Database(database_urls[1], 1)
    await opened.open(wait_seconds=60)
    assert left == []
    async with opened.unscoped_connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await opened.close()


@pytest.mark.parametrize(
    ("error", "wait_seconds"),
    [(ConnectionRefusedError(), 0), (asyncpg.InvalidPasswordError("wrong"), 60)],
    ids=["the wait is over", "waiting does not help"],
)
async def test_opening_raises_the_error(
    error: Exception, wait_seconds: float, database_urls: tuple[str, str], failing: Callable[..., list[Exception]]
) -> None:
    failing(error)
    with pytest.raises(type(error)):
        await Database(database_urls[1], 1).open(wait_seconds)


async def lose_connection(owner_url: str, connection: Any, turns: int) -> None:
    """Ends the backend of a connection, and lets the event loop read what it sent for some turns.

    After two turns the client has read the server's error and not yet the end of the connection.
    """
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.get_server_pid()])
    for _ in range(turns):
        await asyncio.sleep(0)


async def enter(block: str, opened: Database, stack: AsyncExitStack) -> Any:
    """Enters a kind of transaction and returns its connection."""
    if block in ("write", "read", "savepoint"):
        started = opened.read_transaction(1) if block == "read" else opened.write_transaction(1)
        scope = await stack.enter_async_context(started)
        if block == "savepoint":
            await stack.enter_async_context(scope.savepoint())
        return scope.connection
    if block == "organization":
        return await stack.enter_async_context(opened.organization_transaction(1))
    source = opened.dedicated_connection() if block == "dedicated" else opened.unscoped_connection()
    connection = await stack.enter_async_context(source)
    for _ in range(2 if block == "nested" else 1):
        await stack.enter_async_context(transaction(connection))
    return connection


@pytest.mark.parametrize("turns", [0, 2, 4])
@pytest.mark.parametrize("block", ["write", "read", "savepoint", "organization", "dedicated", "unscoped", "nested"])
@pytest.mark.parametrize("is_noticed", [False, True])
async def test_a_lost_connection_does_not_hide_the_error_of_the_block(
    is_noticed: bool, block: str, turns: int, database_urls: tuple[str, str]
) -> None:
    async def fail(opened: Database) -> None:
        async with AsyncExitStack() as stack:
            connection = await enter(block, opened, stack)
            await lose_connection(database_urls[0], connection, turns)
            if is_noticed:
                with suppress(*DATABASE_ERRORS):
                    await connection.execute("SELECT 1")
            raise KeyError

    async with Database(database_urls[1], 1) as opened:
        with pytest.raises(KeyError):
            await fail(opened)
        async with opened.unscoped_connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_transaction_within_another_is_rolled_back_alone(database_urls: tuple[str, str]) -> None:
    async with Database(database_urls[1], 1) as opened, opened.unscoped_connection() as connection:
        async with transaction(connection):
            await connection.execute("SET LOCAL regulars.community_id = '1'")
            with suppress(asyncpg.DivisionByZeroError):
                async with transaction(connection):
                    await connection.execute("SET LOCAL regulars.community_id = '2'")
                    await connection.execute("SELECT 1 / 0")
            assert await connection.fetchval("SELECT current_setting('regulars.community_id')") == "1"
            async with transaction(connection):
                await connection.execute("SET LOCAL regulars.community_id = '3'")
            assert await connection.fetchval("SELECT current_setting('regulars.community_id')") == "3"
        assert not connection.is_in_transaction()
