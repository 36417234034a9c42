"""Connections to PostgreSQL, each statement within the community whose rows it may see."""

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
from regulars.storage.errors import CONNECTION_ERRORS

_log = structlog.get_logger("regulars.database")

RETRY_SECONDS = 0.5
"""Seconds between two attempts to connect to a server that is not available."""

SESSION_SETTINGS = {
    # One shape of plan for one profile or thousands; a plan of its own for each call costs more than it saves.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "timezone": "UTC",
    "application_name": "regulars",
}

_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED"

_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Scope:
    """One database transaction within one community, at one instant `now` (UTC)."""

    connection: Any
    community_id: int
    now: datetime

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        """All rows of a statement."""
        rows: list[Any] = await self.connection.fetch(statement, *values)
        return rows

    async def fetchrow(self, statement: str, *values: object) -> Any:
        """The first row of a statement, or None."""
        return await self.connection.fetchrow(statement, *values)

    async def fetchval(self, statement: str, *values: object) -> Any:
        """The first value of the first row, or None."""
        return await self.connection.fetchval(statement, *values)

    async def execute(self, statement: str, *values: object) -> str:
        """Runs a statement; gives the server's word on it, such as `DELETE 3`."""
        status: str = await self.connection.execute(statement, *values)
        return status

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails within the block is undone; what came before it stays. The error goes on."""
        await self.connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            await _undo(self.connection, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
            raise
        await self.connection.execute("RELEASE SAVEPOINT part")


async def _undo(connection: Any, statement: str) -> None:
    """Rolls back after an error. If that fails, the connection is closed, so that nobody gets it in this state; the
    first error is the one that is raised.
    """
    try:
        await connection.execute(statement)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        # A lost connection has left the pool already, and can't be closed again.
        with suppress(asyncpg.InterfaceError):
            connection.terminate()


def _decoded(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _encoded(value: object) -> str:
    return _encoder.encode(value).decode()


async def _prepare_connection(connection: Any) -> None:
    # JSON goes in as objects and comes out as text, for most of it is only echoed.
    for kind in ("jsonb", "json"):
        await connection.set_type_codec(kind, encoder=_encoded, decoder=_decoded, schema="pg_catalog")


async def _leave_session_as_is(connection: Any) -> None:
    # Nothing of ours outlives a transaction (SET LOCAL only), so there is nothing
    # to reset and a round trip is saved with every use of a connection.
    return


class Database:
    """A pool of connections of the app's role to `url`."""

    def __init__(self, url: str, connections: int, clock: Clock = system_clock) -> None:
        self.url = url
        self._connections = connections
        self.clock = clock
        self.pool: Any = None

    async def open(self, wait_seconds: float = 0.0) -> None:
        """Connects, and waits for up to `wait_seconds` while the server is not available, such as after a crash.

        Raises OSError or asyncpg errors when the server can't be reached.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                await self._open()
            except CONNECTION_ERRORS as error:
                if time.monotonic() >= deadline:
                    raise
                _log.warning("database.unavailable", why=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _open(self) -> None:
        self.pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._connections,
            server_settings=SESSION_SETTINGS,
            init=_prepare_connection,
            reset=_leave_session_as_is,
            command_timeout=600,
            # The statements that refresh values are longer than what is cached by default, and cost more to plan
            # than to run; none of them goes stale by age.
            max_cacheable_statement_size=0,
            max_cached_statement_lifetime=0,
        )

    async def close(self) -> None:
        """Waits for the statements that run, then disconnects."""
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
        """A connection of its own, for what is held for long: it takes none from the pool, which might run dry."""
        connection = await asyncpg.connect(self.url, server_settings=SESSION_SETTINGS, command_timeout=600)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def unscoped_connection(self) -> AsyncIterator[Any]:
        """A bare connection: for tables that belong to no community, or one self-scoping statement."""
        async with self.pool.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def read_transaction(self, community_id: int) -> AsyncIterator[Scope]:
        """One snapshot of a community, read only."""
        async with self._transaction(_READING, community_id) as scope:
            yield scope

    @asynccontextmanager
    async def write_transaction(
        self, community_id: int, first_statement: str = "", last_statement: str = ""
    ) -> AsyncIterator[Scope]:
        """One transaction of a community: committed at the end of the block, undone if it raises.

        `first` is a statement that it begins with and `last` one that it ends with, in the same round trips as BEGIN
        and COMMIT; what they give is not read.
        """
        async with self._transaction(_WRITING, community_id, first_statement, last_statement) as scope:
            yield scope

    @asynccontextmanager
    async def _transaction(
        self, begin: str, community_id: int, first: str = "", last: str = ""
    ) -> AsyncIterator[Scope]:
        async with self.pool.acquire() as connection:
            try:
                await connection.execute(f"{begin}; SET LOCAL regulars.community_id = '{int(community_id)}'; {first}")
                yield Scope(connection, community_id, self.clock())
                status = await connection.execute(f"{last}; COMMIT")
                if status != "COMMIT" and begin == _WRITING:
                    # The block caught a database error outside a savepoint.
                    raise asyncpg.InFailedSQLTransactionError("The transaction was rolled back: a statement failed.")
            except BaseException:
                await _undo(connection, "ROLLBACK")
                raise
