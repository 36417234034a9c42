"""Measures how long an event loop is blocked, in the processor time of its thread."""

from __future__ import annotations

import asyncio
import gc
import time
from types import TracebackType


class EventLoopLag:
    """Measures the lag of the event loop within a block.

    `max_seconds` is the most processor time that the loop's thread used between two iterations of the loop.

    Other threads and other programs may occupy the processors meanwhile: their work does not count. Nor do objects
    from before the block, which the garbage collector would traverse: a server has frozen its own when it starts.
    """

    def __init__(self) -> None:
        self.max_seconds = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> EventLoopLag:
        gc.collect()
        gc.freeze()
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def _beat(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            self.max_seconds = max(self.max_seconds, now - before)
            before = now

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        # Measure the last iteration as well.
        await asyncio.sleep(0.002)
        self._task.cancel()
