"""Prefetches items in a thread while earlier ones are written."""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from regulars.core.uninterrupted import uninterrupted

T = TypeVar("T")


@asynccontextmanager
async def prefetch(items: Generator[T, None, Any]) -> AsyncIterator[AsyncIterator[T]]:
    """Prefetches one item from a generator running in a thread; closes the generator at the end of the block."""
    upcoming: asyncio.Future[T | None] = asyncio.ensure_future(asyncio.to_thread(next, items, None))

    async def iterate() -> AsyncIterator[T]:
        nonlocal upcoming
        # The caller may be cancelled; the thread can't be.
        while (item := await asyncio.shield(upcoming)) is not None:
            upcoming = asyncio.ensure_future(asyncio.to_thread(next, items, None))
            yield item

    try:
        yield iterate()
    finally:
        await uninterrupted(_close(items, upcoming))


async def _close(items: Generator[T, None, Any], upcoming: asyncio.Future[T | None]) -> None:
    # A generator can't be closed while it runs in the thread.
    await asyncio.wait([upcoming])
    upcoming.exception()
    await asyncio.to_thread(items.close)
