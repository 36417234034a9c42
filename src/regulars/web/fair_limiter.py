"""A concurrency limit that is shared fairly: waiting organizations are served in rotation."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_WAITING = 100
"""Most waiting requests of one organization."""


class BusyError(Exception):
    """Too many requests of one organization are waiting."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__(
            f"{MAX_WAITING} reports of this organization are waiting, which is the maximum. Try again in "
            f"{self.retry_after} s."
        )


class FairLimiter:
    """Admits at most `limit` concurrent requests. No organization gets a second slot before every other waiting one has
    had one.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, organization_id: int) -> AsyncIterator[None]:
        """Waits for a slot and holds it during the block. Raises BusyError."""
        await self._acquire(organization_id)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, organization_id: int) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._waiting.setdefault(organization_id, deque())
        if len(queue) >= MAX_WAITING:
            raise BusyError
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if not slot.cancelled():
                # The slot was granted just as its request was cancelled.
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            organization_id, queue = self._waiting.popitem(last=False)
            slot = queue.popleft()
            if queue:
                self._waiting[organization_id] = queue
            if not slot.cancelled():
                slot.set_result(None)
                return
        self._free += 1
