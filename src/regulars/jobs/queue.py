"""The job queue in the same PostgreSQL: periodic jobs, and jobs that requests have deferred."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import procrastinate
import structlog
from procrastinate.exceptions import JobAborted
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker

from regulars.core.redaction import redact
from regulars.jobs import per_community, takeover
from regulars.jobs.job_type import JobArguments, JobOutcome, JobType, PermanentJobError
from regulars.rollups import snapshots
from regulars.storage.database import Database

REPORTS_QUEUE = "reports"
"""The queue of snapshots, which has a worker of its own, so that no other job delays them."""

POLL_INTERVAL_SECONDS = 5.0
"""Interval at which a process polls for jobs. LISTEN does not work behind a transaction pooler."""

DEFERRED_POLL_INTERVAL_SECONDS = 1.0
"""The same for jobs that requests have deferred, and for requests to cancel a running job."""

RETRY_SECONDS = 5.0

FINISH_SECONDS = 2.0
"""Time that a running job has to finish when its worker stops. Then it is returned to the queue."""

MAX_ERROR_LENGTH = 1_000

_log = structlog.get_logger("regulars.jobs")


class _RetryLaterError(Exception):
    """An attempt that is to be repeated after some seconds."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"retry in {seconds} s")


class _RetryStrategy(BaseRetryStrategy):
    """Repeats the attempts that ended with _RetryLaterError."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, _RetryLaterError):
            return RetryDecision(retry_in={"seconds": exception.seconds})
        return None


def create_app(database: Database, job_types: Sequence[JobType] = ()) -> procrastinate.App:
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
    @app.task(name="take_snapshots", queue=REPORTS_QUEUE, queueing_lock="take_snapshots", pass_context=False)
    async def take_snapshots(timestamp: int) -> None:
        community_ids = await per_community.list_ids(database)
        await per_community.run_for_each("snapshot", community_ids, partial(snapshots.take, database))

    for each in job_types:
        app.task(name=each.name, queue=each.queue, pass_context=True, retry=_RetryStrategy())(_attempt(database, each))
    return app


def _attempt(database: Database, job_type: JobType) -> Callable[..., Awaitable[None]]:
    async def attempt(context: procrastinate.JobContext, **arguments: Any) -> None:
        assert context.job.id is not None  # noqa: S101 - a job that runs is stored
        try:
            await job_type.run(arguments)
        except asyncio.CancelledError:
            if context.abort_reason() is AbortReason.SHUTDOWN:
                await job_type.record(arguments, JobOutcome.WAITING, None)
                raise _RetryLaterError(0) from None
            await job_type.record(arguments, JobOutcome.CANCELLED, None)
            raise JobAborted from None
        except Exception as error:
            _log.warning("job.attempt_failed", job=context.job.id, type=job_type.name, reason=error_message(error))
            delay = await _record_error(database, job_type, context.job.id, arguments, error)
            if delay is None:
                raise
            raise _RetryLaterError(delay) from error

    return attempt


_STORE_ERROR = f"""
WITH stored AS (
    INSERT INTO job_errors (job_id, error) VALUES ($1, $2)
)
SELECT count(*)
FROM job_errors AS failure
WHERE failure.job_id = $1 AND {takeover.SINCE_RERUN}
"""


async def _record_error(
    database: Database, job_type: JobType, job_id: int, arguments: JobArguments, error: Exception
) -> int | None:
    """Stores the error of an attempt. Returns the seconds to the next attempt, or None if there is none."""
    message = error_message(error)
    async with database.unscoped_connection() as connection:
        failures = await connection.fetchval(_STORE_ERROR, job_id, message)
    is_last = isinstance(error, PermanentJobError) or failures >= len(job_type.retry_delays)
    await job_type.record(arguments, JobOutcome.FAILED if is_last else JobOutcome.WAITING, message)
    return None if is_last else job_type.retry_delays[failures]


def error_message(error: Exception) -> str:
    """The first line of an error in words, without secrets."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return redact(text)[:MAX_ERROR_LENGTH]


async def run_worker(
    app: procrastinate.App,
    stopping: asyncio.Event | None = None,
    *,
    queue: str = REPORTS_QUEUE,
    concurrency: int = 1,
    poll_interval: float = POLL_INTERVAL_SECONDS,
    timeout_seconds: float = 30.0,
) -> None:
    """Runs jobs of a queue until `stopping` is set, and returns a job that does not finish in time to the queue; without
    `stopping`, until the queue is empty.
    """
    worker = Worker(
        app,
        queues=[queue],
        wait=stopping is not None,
        concurrency=concurrency,
        listen_notify=False,
        fetch_job_polling_interval=poll_interval,
        abort_job_polling_interval=DEFERRED_POLL_INTERVAL_SECONDS,
        shutdown_graceful_timeout=FINISH_SECONDS,
        update_heartbeat_interval=timeout_seconds / takeover.HEARTBEATS,
        stalled_worker_timeout=timeout_seconds,
        install_signal_handlers=False,
        delete_jobs="successful",
    )
    running = asyncio.create_task(worker.run())
    if stopping is not None:
        await _wait_for_either(running, stopping)
        worker.stop()
    await running


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What the workers of a process run.

    `concurrency` is the number of jobs of each queue of `job_types` that run at the same time; 0 leaves them to other
    processes. `timeout_seconds` is the time without a heartbeat after which others consider a worker dead.
    """

    job_types: Sequence[JobType] = ()
    concurrency: int = 1
    timeout_seconds: float = 30.0


async def run_until_stopped(database: Database, stopping: asyncio.Event, options: WorkerOptions | None = None) -> None:
    """Runs jobs of all queues until `stopping` is set, and reconnects after a loss of the database."""
    options = options or WorkerOptions()
    while not stopping.is_set():
        try:
            await _run_connected(create_app(database, options.job_types), stopping, options)
        except Exception:
            _log.exception("job.failed", job="queue")
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)


async def _run_connected(app: procrastinate.App, stopping: asyncio.Event, options: WorkerOptions) -> None:
    opening = asyncio.ensure_future(app.open_async())
    await _wait_for_either(opening, stopping)
    try:
        # Cancelling this coroutine would not be reliable: the pool may open despite the cancellation, and a worker that
        # started after it would run forever.
        if not opening.cancel():
            opening.result()
            await _run_workers(app, stopping, options)
    finally:
        await asyncio.wait([opening])
        await app.close_async()


async def _run_workers(app: procrastinate.App, stopping: asyncio.Event, options: WorkerOptions) -> None:
    """Runs a worker for each queue. If one fails, the others are stopped, and the error is raised."""
    leaving = asyncio.Event()
    workers = [asyncio.ensure_future(run_worker(app, leaving, timeout_seconds=options.timeout_seconds))]
    for queue in sorted({each.queue for each in options.job_types}) if options.concurrency > 0 else ():
        running = run_worker(
            app,
            leaving,
            queue=queue,
            concurrency=options.concurrency,
            poll_interval=DEFERRED_POLL_INTERVAL_SECONDS,
            timeout_seconds=options.timeout_seconds,
        )
        workers.append(asyncio.ensure_future(running))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([*workers, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    leaving.set()
    await asyncio.gather(*workers)


async def _wait_for_either(running: asyncio.Future[Any], stopping: asyncio.Event) -> None:
    """Waits until `running` is done or `stopping` is set."""
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
