"""Batches concurrent reads of profiles: while a statement runs, the reads that arrive wait for the next one."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from uuid import UUID

MAX_PROFILES_PER_READ = 200

T = TypeVar("T")


class BatchedReads(Generic[T]):
    """Reads of one kind. `fetch_many` returns the results of a community's profiles, without those that do not exist."""

    def __init__(self, fetch_many: Callable[[int, list[UUID]], Awaitable[dict[UUID, T]]]) -> None:
        self._fetch_many = fetch_many
        self._pending: dict[int, dict[UUID, list[asyncio.Future[T | None]]]] = {}
        self._busy: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def read(self, community_id: int, profile_id: UUID) -> "asyncio.Future[T | None]":
        """The result of one profile; None if it does not exist."""
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        pending = self._pending.get(community_id)
        if pending is None:
            pending = self._pending[community_id] = {}
        pending.setdefault(profile_id, []).append(future)
        if community_id not in self._busy:
            self._busy.add(community_id)
            task = asyncio.create_task(self._serve(community_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _serve(self, community_id: int) -> None:
        try:
            while batch := self._pending.pop(community_id, None):
                if len(batch) > MAX_PROFILES_PER_READ:
                    items = iter(batch.items())
                    batch = dict(itertools.islice(items, MAX_PROFILES_PER_READ))
                    self._pending[community_id] = dict(items)
                try:
                    found = await self._fetch_many(community_id, list(batch))
                except Exception as error:
                    for future in _waiting(batch):
                        future.set_exception(error)
                    continue
                except BaseException:
                    for future in _waiting(batch):
                        future.cancel()
                    raise
                for profile_id, futures in batch.items():
                    for future in futures:
                        if not future.done():
                            future.set_result(found.get(profile_id))
        finally:
            self._busy.discard(community_id)

    async def finish(self) -> None:
        """Waits for running reads."""
        await asyncio.gather(*self._tasks)


def _waiting(batch: dict[UUID, list["asyncio.Future[T | None]"]]) -> list["asyncio.Future[T | None]"]:
    """The futures of reads that no caller has cancelled."""
    return [future for futures in batch.values() for future in futures if not future.done()]
