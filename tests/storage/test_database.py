"""Connecting to a database that is not available yet."""

from collections.abc import Callable

import asyncpg
import pytest

from regulars.storage import database
from regulars.storage.database import Database


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
