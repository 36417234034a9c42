"""Where a report's rows are asked for when they are in files: the relations that an engine has made of them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends, ReadSnapshot
from regulars.reports.report import Backend

T = TypeVar("T")
ExecuteStatement = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""The rows of a compiled statement with its values by place."""


class FileBackends(Backends):
    """Files as answers are made from them: what is asked is asked of one engine, and all of it at `now`."""

    def __init__(self, ask: ExecuteStatement, now: datetime) -> None:
        self._ask = ask
        self._now = now

    @asynccontextmanager
    async def snapshot(self, customers: Sequence[Tenant], now: datetime | None = None) -> AsyncIterator[ReadSnapshot]:
        """The files as they are."""
        yield _Files(None, now or self._now, None, customers[0].community_id, self._ask)

    async def cursor_key(self) -> bytes:
        """Nothing is paged, so no cursor leaves."""
        return b""


class _Files(ReadSnapshot):
    def __init__(self, connection: Any, now: datetime, copies: None, community_id: int, ask: ExecuteStatement) -> None:
        super().__init__(connection, now, copies, community_id)
        self._ask = ask

    async def fetch(self, customer: Tenant, store: Backend, statement: str, values: Sequence[Any]) -> list[Any]:
        return self._ask(statement, [list(each) if isinstance(each, tuple) else each for each in values])

    async def run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """What work returns, at once: no other request waits for it, and no event loop runs."""
        return work(*arguments)
