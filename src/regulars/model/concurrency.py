"""Writes that meet another writer's in a unique index: done again, when what the other wrote is seen."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from regulars.model.unit_of_work import UnitOfWork

T = TypeVar("T")

MAX_ATTEMPTS = 4


class UniqueConflictError(Exception):
    """Another writer has made the same meanwhile."""


async def retry_on_conflict(uow: UnitOfWork, operation: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives, which looks before it writes and is done again where another writer was faster."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            async with uow.tracked_savepoint():
                return await operation()
        except (asyncpg.UniqueViolationError, UniqueConflictError):
            if attempt == MAX_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
