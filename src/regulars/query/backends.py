"""Read access to the backends of reports: one snapshot for all tenants, each under its own row-level security."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from regulars.auth import signing_keys
from regulars.auth.tenants import Tenant
from regulars.reports.report import Backend
from regulars.storage.database import Database

T = TypeVar("T")

COPY_SECONDS = 24 * 3600.0
"""A copied result may take this long, because the reader may be slow."""


class ReplicaProvider(Protocol):
    """The columnar replicas of communities in this process."""

    async def fetch(
        self,
        connection: Any,
        tenant: Tenant,
        now: datetime,
        statement: str,
        values: Sequence[Any],
        max_wait_seconds: float | None = None,
    ) -> list[tuple[Any, ...]]:
        """Runs a statement on the replica of a community, after it has caught up with the connection's snapshot."""


class Backends:
    """The database and the columnar replicas.

    A query waits at most `replica_wait_seconds` for its replica to be created, without them as long as it takes.
    """

    def __init__(
        self,
        database: Database,
        replicas: ReplicaProvider | None = None,
        replica_wait_seconds: float | None = None,
    ) -> None:
        self.database = database
        self.replicas = replicas
        self.replica_wait_seconds = replica_wait_seconds
        self._cursor_key: bytes | None = None

    @asynccontextmanager
    async def snapshot(self, tenants: Sequence[Tenant], now: datetime | None = None) -> AsyncIterator["ReadSnapshot"]:
        """Opens one read-only transaction that sees all tenants at one instant: `now`, by default that of the clock."""
        first = tenants[0]
        async with self.database.read_transaction(first.community_id) as scope:
            yield ReadSnapshot(
                scope.connection, now or scope.now, self.replicas, self.replica_wait_seconds, first.community_id
            )

    async def cursor_key(self) -> bytes:
        """The signing key of cursors, the same in all processes."""
        if self._cursor_key is None:
            async with self.database.unscoped_connection() as connection:
                self._cursor_key = await signing_keys.get_or_create(connection, "cursors", self.database.clock())
        return self._cursor_key


@dataclass(slots=True)
class ReadSnapshot:
    """One read-only transaction at one instant; row-level security is set to the tenant of the last statement."""

    connection: Any
    now: datetime
    replicas: ReplicaProvider | None
    replica_wait_seconds: float | None
    _community_id: int

    async def run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs CPU-bound work in a thread, so that the event loop is not blocked while it encodes thousands of rows."""
        return await asyncio.to_thread(work, *arguments)

    async def fetch(self, tenant: Tenant, backend: Backend, statement: str, values: Sequence[Any]) -> list[Any]:
        """Runs a compiled statement for a tenant, and returns its rows."""
        await self._enter(tenant)
        if backend is Backend.POSTGRES:
            found: list[Any] = await self.connection.fetch(statement, *values)
            return found
        if self.replicas is None:
            raise RuntimeError("This process has no columnar replicas of members.")
        return await self.replicas.fetch(
            self.connection, tenant, self.now, statement, values, self.replica_wait_seconds
        )

    async def copy(
        self, tenant: Tenant, statement: str, values: Sequence[Any], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Runs a statement of PostgreSQL for a tenant, and writes its rows as CSV in chunks of whole rows, as COPY does.

        The next chunk is read when the previous one is written. If writing fails or is cancelled, the connection is closed.
        """
        await self._enter(tenant)
        try:
            await self.connection.copy_from_query(statement, *values, output=write, format="csv", timeout=COPY_SECONDS)
        except BaseException:
            # asyncpg would wait forever for the end of a statement that has already sent its last row.
            self.connection.terminate()
            raise

    async def _enter(self, tenant: Tenant) -> None:
        if tenant.community_id != self._community_id:
            await self.connection.execute(f"SET LOCAL regulars.community_id = '{int(tenant.community_id)}'")
            self._community_id = tenant.community_id
