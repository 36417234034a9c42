"""What is done at set times, once for all processes: jobs in a queue on the same PostgreSQL."""

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
"""How often a process looks for a job: it does not listen, for behind a transaction pooler nothing would be heard."""

RETRY_SECONDS = 5.0

_log = structlog.get_logger("regulars.jobs")


def create_app(database: Database) -> procrastinate.App:
    """The queue with all that it can do. It holds two connections at most, beside those of the database's pool."""
    connector = procrastinate.PsycopgConnector(
        conninfo=database.url,
        min_size=1,
        max_size=2,
        # What a session prepares is not there in the next transaction of a pooler's.
        kwargs={"prepare_threshold": None, "application_name": "regulars-jobs"},
    )
    app = procrastinate.App(connector=connector)

    # Who comes late takes the snapshot of now, once.
    @app.periodic(cron="*/15 * * * *")
    @app.task(name="take_snapshots", queue=QUEUE, queueing_lock="take_snapshots", pass_context=False)
    async def take_snapshots(timestamp: int) -> None:
        every = await per_community.list_ids(database)
        await per_community.run_for_each("snapshot", every, partial(snapshots.take, database))

    return app


async def run_worker(app: procrastinate.App, stopping: asyncio.Event | None = None) -> None:
    """Does what is in the queue until it is told to stop, and ends the job that runs; without `stopping` until
    nothing is left.
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
        await _either(running, stopping)
        worker.stop()
    await running


async def run_until_stopped(database: Database, stopping: asyncio.Event) -> None:
    """Works on the queue until it is told to stop, through losses of the database."""
    while not stopping.is_set():
        try:
            await _connected(create_app(database), stopping)
        except Exception:
            _log.exception("job.failed", job="queue")
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)


async def _connected(app: procrastinate.App, stopping: asyncio.Event) -> None:
    opening = asyncio.ensure_future(app.open_async())
    await _either(opening, stopping)
    try:
        # A pool that is cancelled while it opens may open all the same, so nobody stops by a cancellation alone: a
        # worker that began after it would run for ever.
        if not opening.cancel():
            opening.result()
            await run_worker(app, stopping)
    finally:
        await asyncio.wait([opening])
        await app.close_async()


async def _either(running: asyncio.Future[Any], stopping: asyncio.Event) -> None:
    """Waits for the end of `running`, or for `stopping`."""
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
