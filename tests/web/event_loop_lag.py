"""How long an event loop is kept busy, in processor time of the process, which other processes don't change."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType


class EventLoopLag:
    """Beats while its block runs; `longest` is the most processor time that the process took between two beats.

    Work of other threads counts as far as it keeps the loop waiting, and also where it does not: an upper bound.
    """

    def __init__(self) -> None:
        self.max_seconds = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> EventLoopLag:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def _beat(self) -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.process_time()
            self.max_seconds = max(self.max_seconds, now - before)
            before = now

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        # What ended with the block is still to be measured.
        await asyncio.sleep(0.002)
        self._task.cancel()
