"""Awaits work that must not be left half done when its caller is cancelled."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


async def uninterrupted(work: Coroutine[Any, Any, Result]) -> Result:
    """Awaits work to its end, also if the caller is cancelled meanwhile, even repeatedly.

    A cancelled caller is raised CancelledError after that. What a thread still works on, for example a connection of
    DuckDB, is neither left incomplete nor used by others.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
