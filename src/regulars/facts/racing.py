"""Writes that meet another writer's in a unique index: done again, when what the other wrote is seen."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from regulars.facts.writing import Writing

T = TypeVar("T")

ATTEMPTS = 4


class OvertakenError(Exception):
    """Another writer has made the same meanwhile."""


async def again(writing: Writing, work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives, which looks before it writes and is done again where another writer was faster."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with writing.part():
                return await work()
        except (asyncpg.UniqueViolationError, OvertakenError):
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
