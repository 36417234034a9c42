"""What is done at set times, once for all processes: jobs in a queue on the same PostgreSQL."""

import asyncio
from functools import partial

import procrastinate
import structlog

from regulars.jobs import communities
from regulars.reports import snapshots
from regulars.storage.database import Database

QUEUE = "reports"

POLLED_SECONDS = 5.0
"""How often a process looks for a job: it does not listen, for behind a transaction pooler nothing would be heard."""

RETRY_SECONDS = 5.0

_log = structlog.get_logger("regulars.jobs")


def queue(database: Database) -> procrastinate.App:
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
        every = await communities.ids(database)
        await communities.each("snapshot", every, partial(snapshots.take, database))

    return app


async def work(app: procrastinate.App, *, wait: bool = True) -> None:
    """Does what is in the queue, until it is cancelled; without `wait` until nothing is left."""
    await app.run_worker_async(
        queues=[QUEUE],
        wait=wait,
        concurrency=1,
        listen_notify=False,
        fetch_job_polling_interval=POLLED_SECONDS,
        install_signal_handlers=False,
        delete_jobs="successful",
    )


async def serve(database: Database) -> None:
    """Works on the queue until it is cancelled, through losses of the database."""
    while True:
        try:
            async with queue(database).open_async() as app:
                await work(app)
        except Exception:
            _log.exception("job.failed", job="queue")
        await asyncio.sleep(RETRY_SECONDS)
