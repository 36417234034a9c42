"""Connections and transactions of PostgreSQL, each limited to one community by row-level security."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import structlog

from regulars.clock import Clock, system_clock
from regulars.storage.errors import CONNECTION_ERRORS, DATABASE_ERRORS

_log = structlog.get_logger("regulars.database")

RETRY_SECONDS = 0.5
"""Time between two attempts to connect to a server that is not available."""

SESSION_SETTINGS = {
    # One generic plan serves one profile or thousands. Planning each call separately costs more than it saves.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "timezone": "UTC",
    "application_name": "regulars",
}

_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"

_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Scope:
    """A database transaction within one community, started at `now` (UTC)."""

    connection: Any
    community_id: int
    now: datetime

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        """Returns all rows of a statement."""
        rows: list[Any] = await self.connection.fetch(statement, *values)
        return rows

    async def fetchrow(self, statement: str, *values: object) -> Any:
        """Returns the first row of a statement, or None."""
        return await self.connection.fetchrow(statement, *values)

    async def fetchval(self, statement: str, *values: object) -> Any:
        """Returns the first value of the first row, or None."""
        return await self.connection.fetchval(statement, *values)

    async def execute(self, statement: str, *values: object) -> str:
        """Runs a statement and returns its status, such as `DELETE 3`."""
        status: str = await self.connection.execute(statement, *values)
        return status

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Rolls back the block if it raises, without the statements before it. The error is raised again."""
        async with transaction(self.connection):
            yield


@asynccontextmanager
async def transaction(connection: Any) -> AsyncIterator[None]:
    """Commits at the end of the block and rolls back if it raises. In a transaction, the block is a savepoint of it.

    The error of the block is raised, also if the connection is lost. The transactions of asyncpg replace it with the
    error of their rollback.
    """
    if connection.is_in_transaction():
        begin, commit = "SAVEPOINT block", "RELEASE SAVEPOINT block"
        rollback = "ROLLBACK TO SAVEPOINT block; RELEASE SAVEPOINT block"
    else:
        begin, commit, rollback = "BEGIN", "COMMIT", "ROLLBACK"
    await connection.execute(begin)
    try:
        yield
    except BaseException:
        await _roll_back(connection, rollback)
        raise
    await connection.execute(commit)


async def _roll_back(connection: Any, statement: str) -> None:
    """Rolls back after an error. If that fails, the connection is closed, so that it is not used
    again in this state.
    """
    try:
        await connection.execute(statement)
    except DATABASE_ERRORS:
        # A lost connection has already left the pool and can't be closed again.
        with suppress(asyncpg.InterfaceError):
            connection.terminate()


def _decode_json(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _encode_json(value: object) -> str:
    return _encoder.encode(value).decode()


async def _prepare_connection(connection: Any) -> None:
    # JSON is bound as objects and returned as raw text, because most of it is returned to the client unchanged.
    for type_name in ("jsonb", "json"):
        await connection.set_type_codec(type_name, encoder=_encode_json, decoder=_decode_json, schema="pg_catalog")


async def _skip_reset(connection: Any) -> None:
    # Settings are limited to transactions (SET LOCAL), so there is nothing to reset, which saves a round trip.
    return


class Database:
    """A connection pool with the app's role."""

    def __init__(self, url: str, max_size: int, clock: Clock = system_clock) -> None:
        self.url = url
        self._max_size = max_size
        self.clock = clock
        self.pool: Any = None

    async def open(self, wait_seconds: float = 0.0) -> None:
        """Opens the pool, and retries for up to `wait_seconds` while the server is not available.

        Raises OSError or asyncpg errors if the server can't be reached.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                await self._open()
            except CONNECTION_ERRORS as error:
                if time.monotonic() >= deadline:
                    raise
                _log.warning("database.unavailable", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _open(self) -> None:
        self.pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._max_size,
            server_settings=SESSION_SETTINGS,
            init=_prepare_connection,
            reset=_skip_reset,
            command_timeout=600,
            # Statements that refresh values exceed the default limit of the cache and cost more to plan than to run.
            max_cacheable_statement_size=0,
            max_cached_statement_lifetime=0,
        )

    async def close(self) -> None:
        """Waits for running statements and closes the pool."""
        if self.pool is not None:
            await self.pool.close()
            self.pool = None

    async def __aenter__(self) -> "Database":
        await self.open()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    @asynccontextmanager
    async def dedicated_connection(self) -> AsyncIterator[Any]:
        """Opens a connection outside the pool, for long use that would exhaust the pool."""
        connection = await asyncpg.connect(self.url, server_settings=SESSION_SETTINGS, command_timeout=600)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def unscoped_connection(self) -> AsyncIterator[Any]:
        """Yields a connection without a community: for tables without one, or a statement that sets it itself."""
        async with self.pool.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def organization_transaction(self, organization_id: int) -> AsyncIterator[Any]:
        """Yields a connection in a transaction of an organization, for tables whose rows belong to organizations.

        The transaction is committed at the end of the block and rolled back if it raises.
        """
        async with self.pool.acquire() as connection:
            try:
                await connection.execute(
                    f"{_BEGIN_WRITE}; SET LOCAL regulars.organization_id = '{int(organization_id)}'"
                )
                yield connection
                await connection.execute("COMMIT")
            except BaseException:
                await _roll_back(connection, "ROLLBACK")
                raise

    @asynccontextmanager
    async def read_transaction(self, community_id: int) -> AsyncIterator[Scope]:
        """Starts a read-only transaction of a community with one snapshot."""
        async with self._transaction(_BEGIN_READ, community_id) as scope:
            yield scope

    @asynccontextmanager
    async def long_read_transaction(self, community_id: int, snapshot: str) -> AsyncIterator[Any]:
        """Starts a read-only transaction of a community on a connection outside the pool, and yields the connection.

        `snapshot` is one that another transaction has exported, which must be open until this one has begun.
        """
        async with self.dedicated_connection() as connection:
            await connection.execute(
                f"{_BEGIN_READ}; SET TRANSACTION SNAPSHOT '{snapshot}'; {self._settings(community_id)}"
            )
            yield connection

    @asynccontextmanager
    async def write_transaction(
        self, community_id: int, first_statement: str = "", last_statement: str = ""
    ) -> AsyncIterator[Scope]:
        """Starts a transaction of a community, which is committed at the end of the block and rolled back if it raises.

        `first_statement` and `last_statement` run in the same round trips as BEGIN and COMMIT. Their results are
        ignored.
        """
        async with self._transaction(_BEGIN_WRITE, community_id, first_statement, last_statement) as scope:
            yield scope

    def _settings(self, community_id: int) -> str:
        """The statements at the beginning of a transaction of a community."""
        settings = f"SET LOCAL regulars.community_id = '{int(community_id)}'"
        if self.clock is not system_clock:
            # Statements that show what depends on the day read this clock instead of the server's.
            settings += f"; SET LOCAL regulars.now = '{self.clock()}'"
        return settings

    @asynccontextmanager
    async def _transaction(
        self, begin: str, community_id: int, first: str = "", last: str = ""
    ) -> AsyncIterator[Scope]:
        async with self.pool.acquire() as connection:
            try:
                await connection.execute(f"{begin}; {self._settings(community_id)}; {first}")
                yield Scope(connection, community_id, self.clock())
                status = await connection.execute(f"{last}; COMMIT")
                if status != "COMMIT" and begin == _BEGIN_WRITE:
                    # The block caught a database error outside a savepoint.
                    raise asyncpg.InFailedSQLTransactionError("The transaction was rolled back: a statement failed.")
            except BaseException:
                await _roll_back(connection, "ROLLBACK")
                raise
