"""Where a query's rows are asked for: one snapshot for all its communities, each under its own row-level security."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from regulars.auth import signing_keys
from regulars.auth.tenants import Tenant
from regulars.reports.report import Backend
from regulars.storage.database import Database

T = TypeVar("T")


class ReplicaProvider(Protocol):
    """The columnar copies that this process keeps of communities."""

    async def fetch(
        self, connection: Any, customer: Tenant, now: datetime, statement: str, values: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        """The rows of a statement over the copy of a community, caught up with the transaction of a connection whose
        community is set.
        """


class Backends:
    """What answers are made from."""

    def __init__(self, database: Database, copies: ReplicaProvider | None = None) -> None:
        self.database = database
        self.replicas = copies
        self._cursor_key: bytes | None = None

    @asynccontextmanager
    async def snapshot(self, customers: Sequence[Tenant], now: datetime | None = None) -> AsyncIterator["ReadSnapshot"]:
        """One read-only transaction in which all customers are seen as they are at one moment: `now`, which is the
        clock's unless it is given.
        """
        first = customers[0]
        async with self.database.read_transaction(first.community_id) as scope:
            yield ReadSnapshot(scope.connection, now or scope.now, self.replicas, first.community_id)

    async def cursor_key(self) -> bytes:
        """The key that cursors are signed with, the same in all processes."""
        if self._cursor_key is None:
            async with self.database.unscoped_connection() as connection:
                self._cursor_key = await signing_keys.get_or_create(connection, "cursors", self.database.clock())
        return self._cursor_key


@dataclass(slots=True)
class ReadSnapshot:
    """One transaction, at one instant `now`, whose community is that of the customer asked last."""

    connection: Any
    now: datetime
    replicas: ReplicaProvider | None
    _community_id: int

    async def run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """What work of Python returns, in a thread: 10,000 rows take long, and other requests go on meanwhile."""
        return await asyncio.to_thread(work, *arguments)

    async def fetch(self, customer: Tenant, store: Backend, statement: str, values: Sequence[Any]) -> list[Any]:
        """The rows of a compiled statement for a customer's community: each with its values by place."""
        if customer.community_id != self._community_id:
            await self.connection.execute(f"SET LOCAL regulars.community_id = '{int(customer.community_id)}'")
            self._community_id = customer.community_id
        if store is Backend.POSTGRES:
            found: list[Any] = await self.connection.fetch(statement, *values)
            return found
        if self.replicas is None:
            raise RuntimeError("This process keeps no columnar copies of its members.")
        return await self.replicas.fetch(self.connection, customer, self.now, statement, values)
