"""Retries of writes that conflict with a concurrent writer in a unique index."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from regulars.model.unit_of_work import UnitOfWork

T = TypeVar("T")

MAX_ATTEMPTS = 4


class UniqueConflictError(Exception):
    """A concurrent writer has inserted the same row."""


async def retry_on_conflict(uow: UnitOfWork, operation: Callable[[], Awaitable[T]]) -> T:
    """Runs an operation that reads before it writes, again if a concurrent writer inserted the same row."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            async with uow.tracked_savepoint():
                return await operation()
        except (asyncpg.UniqueViolationError, UniqueConflictError):
            if attempt == MAX_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
