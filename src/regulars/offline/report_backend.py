"""Query backend for reports over files: executes statements on the relations of an engine."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends, ReadSnapshot
from regulars.reports.report import Backend

T = TypeVar("T")
ExecuteStatement = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Executes a compiled statement with positional parameters and returns its rows."""


class FileBackends(Backends):
    """Backend that executes all statements on one engine, at the instant `now`."""

    def __init__(self, ask: ExecuteStatement, now: datetime) -> None:
        self._ask = ask
        self._now = now

    @asynccontextmanager
    async def snapshot(self, customers: Sequence[Tenant], now: datetime | None = None) -> AsyncIterator[ReadSnapshot]:
        """A snapshot of the files."""
        yield _Files(None, now or self._now, None, customers[0].community_id, self._ask)

    async def cursor_key(self) -> bytes:
        """Empty, because results over files are not paged."""
        return b""


class _Files(ReadSnapshot):
    def __init__(self, connection: Any, now: datetime, copies: None, community_id: int, ask: ExecuteStatement) -> None:
        super().__init__(connection, now, copies, community_id)
        self._ask = ask

    async def fetch(self, customer: Tenant, store: Backend, statement: str, values: Sequence[Any]) -> list[Any]:
        return self._ask(statement, [list(each) if isinstance(each, tuple) else each for each in values])

    async def run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs work synchronously, because there are no concurrent requests and no event loop."""
        return work(*arguments)
