"""Turns: at most so many at once, those that wait are served by organization in rotation."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST_WAITING = 100
"""So many of one organization wait at most."""


class BusyError(Exception):
    """Too many of one organization wait already."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__(
            f"{MOST_WAITING} reports of this organization wait for their turn already: ask again in "
            f"{self.retry_after} s, fewer at once."
        )


class Turns:
    """Lets at most `at_once` in. Of those that wait, each organization has one let in before any has another."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def of(self, organization_id: int) -> AsyncIterator[None]:
        """One turn of an organization, once it comes. Raises BusyError."""
        await self._enter(organization_id)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, organization_id: int) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._waiting.setdefault(organization_id, deque())
        if len(queue) >= MOST_WAITING:
            raise BusyError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # It came just as its request was cancelled.
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            organization_id, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[organization_id] = queue
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._free += 1
