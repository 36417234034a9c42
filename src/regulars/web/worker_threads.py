"""Threads for Python work that would block the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_THREADS = 2
"""More would compete with the event loop, because Python runs one thread at a time."""

Result = TypeVar("Result")


class WorkerThreads:
    """Runs long Python work outside the event loop, in a few threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "regulars-worker")

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Runs a function in a thread; returns what it returns, and raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """Stops the threads when their work is done."""
        self._threads.shutdown()
