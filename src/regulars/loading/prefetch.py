"""Prepares what comes next while what came before is written."""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def prefetch(things: Generator[T, None, Any]) -> AsyncIterator[AsyncIterator[T]]:
    """Things from a generator that works in a thread, one ahead; it is closed with the block."""
    upcoming: asyncio.Future[T | None] = asyncio.ensure_future(asyncio.to_thread(next, things, None))

    async def each() -> AsyncIterator[T]:
        nonlocal upcoming
        # Who waits may be cancelled; what works in the thread can't be.
        while (thing := await asyncio.shield(upcoming)) is not None:
            upcoming = asyncio.ensure_future(asyncio.to_thread(next, things, None))
            yield thing

    try:
        yield each()
    finally:
        # Whatever is under way in the thread ends first, for a generator can't be closed while it runs.
        await asyncio.wait([upcoming])
        upcoming.exception()
        await asyncio.to_thread(things.close)
