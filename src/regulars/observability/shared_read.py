"""A read of the database that all who wait for it share, each for a limited time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SharedRead(Generic[T]):
    """A read of which at most one runs. It continues after a caller has stopped waiting, so that callers of a database that
    does not answer do not use ever more connections.
    """

    def __init__(self, read: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._read = read
        self._running: asyncio.Task[T] | None = None

    async def result(self, seconds: float) -> T:
        """The result of the running read, or of a new one. Raises what the read raises, and TimeoutError."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._read())
            self._running.add_done_callback(_retrieve_error)
        running = self._running
        done, _ = await asyncio.wait([running], timeout=seconds)
        if not done:
            raise TimeoutError(f"the database has not answered within {seconds:g} s")
        return running.result()

    def stop(self) -> None:
        """Cancels the running read."""
        if self._running is not None:
            self._running.cancel()


def _retrieve_error(task: asyncio.Task[Any]) -> None:
    """Retrieves the error of a read without callers, which asyncio would report otherwise."""
    if not task.cancelled():
        task.exception()
