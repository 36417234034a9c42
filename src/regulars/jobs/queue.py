"""Jobs at fixed times, run once for all processes: a queue in the same PostgreSQL."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import procrastinate
import structlog
from procrastinate.worker import Worker

from regulars.jobs import per_community
from regulars.rollups import snapshots
from regulars.storage.database import Database

QUEUE = "reports"

POLL_INTERVAL_SECONDS = 5.0
"""Interval at which a process polls for jobs. LISTEN does not work behind a transaction pooler."""

RETRY_SECONDS = 5.0

_log = structlog.get_logger("regulars.jobs")


def create_app(database: Database) -> procrastinate.App:
    """Creates the queue with its jobs. It uses at most two connections in addition to the pool of the database."""
    connector = procrastinate.PsycopgConnector(
        conninfo=database.url,
        min_size=1,
        max_size=2,
        # Behind a transaction pooler, prepared statements are gone in the next transaction.
        kwargs={"prepare_threshold": None, "application_name": "regulars-jobs"},
    )
    app = procrastinate.App(connector=connector)

    # A late run takes the current snapshot once.
    @app.periodic(cron="*/15 * * * *")
    @app.task(name="take_snapshots", queue=QUEUE, queueing_lock="take_snapshots", pass_context=False)
    async def take_snapshots(timestamp: int) -> None:
        community_ids = await per_community.list_ids(database)
        await per_community.run_for_each("snapshot", community_ids, partial(snapshots.take, database))

    return app


async def run_worker(app: procrastinate.App, stopping: asyncio.Event | None = None) -> None:
    """Runs jobs of the queue until `stopping` is set, and finishes the running job; without `stopping`, until the queue
    is empty.
    """
    worker = Worker(
        app,
        queues=[QUEUE],
        wait=stopping is not None,
        concurrency=1,
        listen_notify=False,
        fetch_job_polling_interval=POLL_INTERVAL_SECONDS,
        install_signal_handlers=False,
        delete_jobs="successful",
    )
    running = asyncio.create_task(worker.run())
    if stopping is not None:
        await _wait_for_either(running, stopping)
        worker.stop()
    await running


async def run_until_stopped(database: Database, stopping: asyncio.Event) -> None:
    """Runs jobs of the queue until `stopping` is set, and reconnects after a loss of the database."""
    while not stopping.is_set():
        try:
            await _run_connected(create_app(database), stopping)
        except Exception:
            _log.exception("job.failed", job="queue")
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)


async def _run_connected(app: procrastinate.App, stopping: asyncio.Event) -> None:
    opening = asyncio.ensure_future(app.open_async())
    await _wait_for_either(opening, stopping)
    try:
        # Cancelling this coroutine would not be reliable: the pool may open despite the cancellation, and a worker that
        # started after it would run forever.
        if not opening.cancel():
            opening.result()
            await run_worker(app, stopping)
    finally:
        await asyncio.wait([opening])
        await app.close_async()


async def _wait_for_either(running: asyncio.Future[Any], stopping: asyncio.Event) -> None:
    """Waits until `running` is done or `stopping` is set."""
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
