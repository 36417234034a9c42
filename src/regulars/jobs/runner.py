"""Runs what is due later, in every process; locks in the database keep two from doing the same."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from regulars.jobs import sweep
from regulars.settings import Settings
from regulars.storage import retention
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.jobs")


class Jobs:
    """The periodic work of one process. `swept` is told of the profiles that its sweeps compute again."""

    def __init__(
        self, database: Database, settings: Settings, swept: Callable[[int], None] = lambda profiles: None
    ) -> None:
        self._database = database
        self._settings = settings
        self._swept = swept
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Begins; the first round is at once."""
        days = self._settings.outbox_days
        for name, every, work in (
            ("sweep", self._settings.sweep_seconds, self._sweep),
            ("retention", 600.0, lambda: retention.keep(self._database, days)),
        ):
            self._tasks.append(asyncio.create_task(self._repeat(name, every, work)))

    async def stop(self) -> None:
        """Lets the work that runs finish its step, and begins no more."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _sweep(self) -> None:
        await sweep.sweep(self._database, self._stopping.is_set, self._swept)

    async def _repeat(self, name: str, every: float, work: Callable[[], Awaitable[object]]) -> None:
        while not self._stopping.is_set():
            try:
                await work()
            except Exception:
                _log.exception("job.failed", job=name)
            with_timeout = asyncio.wait_for(self._stopping.wait(), every)
            try:
                await with_timeout
            except TimeoutError:
                continue
