"""Jobs that requests defer: turns of organizations, retries, the list of failed jobs, cancellation, dead workers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from hypothesis_settings import SEED
from postgres_servers import on_both_servers
from regulars.core.errors import NotFoundError
from regulars.jobs import job_list, takeover
from regulars.jobs.defer import defer
from regulars.jobs.job_list import JobStateError
from regulars.jobs.job_type import JobArguments, JobOutcome, JobType, PermanentJobError
from regulars.jobs.queue import WorkerOptions, create_app, run_until_stopped, run_worker
from regulars.storage.database import Database

pytestmark = on_both_servers

_numbers = itertools.count(SEED * 1_000)


class Work:
    """A job type in a queue of its own, with what it ran and recorded."""

    def __init__(
        self, database: Database, run: Callable[[JobArguments], Awaitable[None]] | None = None, retries: int = 2
    ) -> None:
        self.database = database
        self.runs: list[JobArguments] = []
        self.outcomes: list[tuple[JobOutcome, str | None]] = []
        self._run = run
        name = f"work_{next(_numbers)}"
        self.type = JobType(name, name, self.attempt, self.record, (0,) * retries)

    async def attempt(self, arguments: JobArguments) -> None:
        """Runs one attempt."""
        self.runs.append(arguments)
        if self._run is not None:
            await self._run(arguments)

    async def record(self, arguments: JobArguments, outcome: JobOutcome, error: str | None) -> None:
        """Records an outcome."""
        self.outcomes.append((outcome, error))

    async def defer(self, organization_id: int = 1, **arguments: Any) -> int:
        """Defers a job."""
        async with self.database.unscoped_connection() as connection, connection.transaction():
            return await defer(
                connection, self.type.name, self.type.queue, {"organization_id": organization_id, **arguments}
            )

    async def run_all(self) -> None:
        """Runs the jobs that are due, one after the other."""
        app = create_app(self.database, [self.type])
        async with app.open_async():
            await run_worker(app, queue=self.type.queue)

    @property
    def by_name(self) -> dict[str, JobType]:
        """The job type by its name."""
        return {self.type.name: self.type}


@asynccontextmanager
async def running_worker(work: Work) -> AsyncIterator[asyncio.Event]:
    """Runs a worker during the block; yields the event that stops it."""
    stopping = asyncio.Event()
    app = create_app(work.database, [work.type])
    async with app.open_async():
        worker = asyncio.create_task(run_worker(app, stopping, queue=work.type.queue, poll_interval=0.01))
        try:
            yield stopping
        finally:
            stopping.set()
            await worker


def failing(times: int, error: Exception) -> Callable[[JobArguments], Awaitable[None]]:
    """Work that fails some times."""
    failures = itertools.repeat(error, times)

    async def run(arguments: JobArguments) -> None:
        if (failure := next(failures, None)) is not None:
            raise failure

    return run


async def test_an_organization_waits_for_one_job_of_another_at_most(database: Database) -> None:
    work = Work(database)
    async with database.unscoped_connection() as connection, connection.transaction():
        for _ in range(1_000):
            await defer(connection, work.type.name, work.type.queue, {"organization_id": 1})
    first_stop = asyncio.Event()
    work._run = _stop_after(work, 3, first_stop)
    app = create_app(database, [work.type])
    async with app.open_async():
        await asyncio.gather(run_worker(app, first_stop, queue=work.type.queue))
        for _ in range(3):
            await work.defer(2)
        second_stop = asyncio.Event()
        work._run = _stop_after(work, 12, second_stop)
        await run_worker(app, second_stop, queue=work.type.queue)
    assert [each["organization_id"] for each in work.runs] == [1, 1, 1, 1, 2, 1, 2, 1, 2, 1, 1, 1]


def _stop_after(work: Work, runs: int, stopping: asyncio.Event) -> Callable[[JobArguments], Awaitable[None]]:
    async def run(arguments: JobArguments) -> None:
        if len(work.runs) == runs:
            stopping.set()

    return run


async def test_a_job_that_waits_for_a_retry_gives_no_organization_an_earlier_turn(database: Database) -> None:
    work = Work(database)
    first = await work.defer(1)
    await work.defer(1)
    async with database.unscoped_connection() as connection:
        await connection.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 day' WHERE id = $1", first
        )
    await work.defer(2, nth=1)
    await work.defer(2, nth=2)
    await work.run_all()
    assert [each["organization_id"] for each in work.runs] == [1, 2, 2]


async def test_a_failed_attempt_is_repeated_and_the_job_deleted_when_it_succeeds(database: Database) -> None:
    work = Work(database, failing(2, OSError("no space left")))
    job_id = await work.defer()
    await work.run_all()
    assert len(work.runs) == 3
    assert work.outcomes == [(JobOutcome.WAITING, "no space left")] * 2
    assert [each.error for each in await job_list.list_errors(database, job_id)] == ["no space left"] * 2
    with pytest.raises(NotFoundError, match=f"There is no job {job_id}"):
        await job_list.get_job(database, job_id)


async def test_a_job_that_fails_every_time_is_listed_until_a_person_runs_it_again(database: Database) -> None:
    work = Work(database, failing(4, OSError("store down; password=geheim\nmore")))
    job_id = await work.defer(7, which=3)
    await work.run_all()
    job = await job_list.get_job(database, job_id)
    assert (job.status, job.attempts, job.error) == ("failed", 3, "store down; password=***")
    assert job.arguments == {"organization_id": 7, "which": 3}
    assert job.created_at is not None
    assert job.started_at is not None
    assert job_id in {each.id for each in await job_list.list_jobs(database, "failed")}
    assert (await job_list.count_by_status(database, ["failed", "running"]))["failed"] >= 1
    await job_list.retry_job(database, job_id, work.by_name)
    # The attempts before do not count: one more failure is repeated.
    await work.run_all()
    assert len(work.runs) == 5
    assert [outcome for outcome, _ in work.outcomes] == [
        JobOutcome.WAITING, JobOutcome.WAITING, JobOutcome.FAILED, JobOutcome.WAITING, JobOutcome.WAITING,
    ]  # fmt: skip


async def test_a_retried_job_is_not_started_before_its_state_is_recorded(database: Database) -> None:
    work = Work(database, failing(1, PermanentJobError("no")))
    job_id = await work.defer()
    await work.run_all()

    async def record(arguments: JobArguments, outcome: JobOutcome, error: str | None) -> None:
        await work.run_all()
        await work.record(arguments, outcome, error)

    await job_list.retry_job(database, job_id, {work.type.name: replace(work.type, record=record)})
    assert len(work.runs) == 1
    assert work.outcomes[-1] == (JobOutcome.WAITING, None)
    await work.run_all()
    assert len(work.runs) == 2


async def test_an_error_that_no_retry_can_help_fails_the_job(database: Database) -> None:
    work = Work(database, failing(1, PermanentJobError("The customer is gone.")))
    await work.defer()
    await work.run_all()
    assert work.outcomes == [(JobOutcome.FAILED, "The customer is gone.")]


async def test_an_error_without_words_is_named_by_its_type(database: Database) -> None:
    work = Work(database, failing(1, RuntimeError()), retries=0)
    await work.defer()
    await work.run_all()
    assert work.outcomes == [(JobOutcome.FAILED, "RuntimeError")]


async def test_a_queued_job_is_cancelled_and_never_runs(database: Database) -> None:
    work = Work(database)
    job_id = await work.defer()
    await job_list.cancel_job(database, job_id, work.by_name)
    await work.run_all()
    assert work.runs == []
    assert work.outcomes == [(JobOutcome.CANCELLED, None)]
    assert (await job_list.get_job(database, job_id)).status == "cancelled"
    for change in (job_list.cancel_job, job_list.retry_job):
        with pytest.raises(JobStateError, match="is cancelled"):
            await change(database, job_id, {})


async def test_a_running_job_stops_when_it_is_cancelled(database: Database) -> None:
    is_started, is_cancelled = asyncio.Event(), asyncio.Event()

    async def endless(arguments: JobArguments) -> None:
        is_started.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    work = Work(database, endless)
    job_id = await work.defer()
    async with running_worker(work):
        await is_started.wait()
        await job_list.cancel_job(database, job_id, {})
        await is_cancelled.wait()
    assert (await job_list.get_job(database, job_id)).status == "aborted"
    assert work.outcomes == [(JobOutcome.CANCELLED, None)]


async def test_a_job_that_does_not_finish_when_its_worker_stops_returns_to_the_queue(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.jobs.queue.FINISH_SECONDS", 0.01)
    is_started = asyncio.Event()

    async def endless(arguments: JobArguments) -> None:
        is_started.set()
        await asyncio.Event().wait()

    work = Work(database, endless)
    job_id = await work.defer()
    async with running_worker(work):
        await is_started.wait()
    assert (await job_list.get_job(database, job_id)).status == "queued"
    assert work.outcomes == [(JobOutcome.WAITING, None)]
    work._run = None
    await work.run_all()
    assert len(work.runs) == 2


async def _abandon(database: Database, job_id: int, seconds: int = 60) -> None:
    """Leaves a job as a worker does that died some time ago."""
    async with database.unscoped_connection() as connection:
        await connection.execute(
            """
            WITH dead AS (
                INSERT INTO procrastinate_workers (last_heartbeat)
                VALUES (now() - make_interval(secs => $2))
                RETURNING id
            )
            UPDATE procrastinate_jobs
            SET status = 'doing', worker_id = (SELECT id FROM dead)
            WHERE id = $1
            """,
            job_id,
            seconds,
        )


async def test_jobs_of_a_dead_worker_are_taken_over(database: Database) -> None:
    work = Work(database)
    of_dead, of_live = await work.defer(), await work.defer()
    await _abandon(database, of_dead)
    await _abandon(database, of_live, seconds=5)
    assert await takeover.take_over(database, work.by_name, 30) >= 1
    assert work.outcomes == [(JobOutcome.WAITING, takeover.ERROR)]
    assert (await job_list.get_job(database, of_live)).status == "running"
    await work.run_all()
    assert len(work.runs) == 1


async def test_a_job_that_kills_its_workers_fails(database: Database) -> None:
    work = Work(database)
    job_id = await work.defer()
    for _ in range(takeover.MAX_DEATHS):
        await _abandon(database, job_id)
        await takeover.take_over(database, work.by_name, 30)
    assert (await job_list.get_job(database, job_id)).status == "failed"
    assert work.outcomes[-1] == (JobOutcome.FAILED, takeover.ERROR)
    await work.run_all()
    assert work.runs == []


async def test_deaths_before_a_person_ran_the_job_again_do_not_count(database: Database) -> None:
    work = Work(database)
    job_id = await work.defer()
    for _ in range(takeover.MAX_DEATHS):
        await _abandon(database, job_id)
        await takeover.take_over(database, work.by_name, 30)
    await job_list.retry_job(database, job_id, work.by_name)
    for deaths in range(1, takeover.MAX_DEATHS + 1):
        await _abandon(database, job_id)
        await takeover.take_over(database, work.by_name, 30)
        is_last = deaths == takeover.MAX_DEATHS
        assert (await job_list.get_job(database, job_id)).status == ("failed" if is_last else "queued")


async def test_a_job_that_is_cancelled_while_its_worker_is_dead_does_not_run_again(database: Database) -> None:
    work = Work(database)
    job_id = await work.defer()
    await _abandon(database, job_id)
    await job_list.cancel_job(database, job_id, {})
    await takeover.take_over(database, {}, 30)
    assert (await job_list.get_job(database, job_id)).status == "aborted"


async def test_every_queue_has_a_worker(database: Database) -> None:
    stopping = asyncio.Event()

    async def stop(arguments: JobArguments) -> None:
        stopping.set()

    work = Work(database, stop)
    await work.defer()
    await asyncio.wait_for(run_until_stopped(database, stopping, WorkerOptions([work.type])), 20)
    assert len(work.runs) == 1


async def test_snapshots_are_taken_while_exports_run(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, is_taken = asyncio.Event(), asyncio.Event()

    async def take(*arguments: object) -> int:
        is_taken.set()
        return 0

    async def wait(arguments: JobArguments) -> None:
        # Would wait forever if the snapshot waited for this job.
        await is_taken.wait()
        stopping.set()

    monkeypatch.setattr("regulars.jobs.queue.per_community.run_for_each", take)
    work = Work(database, wait)
    await work.defer()
    app = create_app(database)
    async with app.open_async():
        # Its own lock, because another test may have left the periodic job in the queue.
        lock = f"take_snapshots_{next(_numbers)}"
        await app.tasks["take_snapshots"].configure(queueing_lock=lock).defer_async(timestamp=0)
    await asyncio.wait_for(run_until_stopped(database, stopping, WorkerOptions([work.type])), 20)
    assert is_taken.is_set()


async def test_the_queue_starts_again_after_an_error(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = asyncio.Event()
    errors = iter([OSError("down")])

    async def fail(*arguments: object) -> None:
        for error in errors:
            raise error
        stopping.set()

    monkeypatch.setattr("regulars.jobs.queue.RETRY_SECONDS", 0.0)
    monkeypatch.setattr("regulars.jobs.queue._run_connected", fail)
    await asyncio.wait_for(run_until_stopped(database, stopping), 20)
    assert next(errors, None) is None


async def test_old_jobs_and_their_errors_are_deleted(database: Database) -> None:
    work = Work(database, failing(9, OSError("down")), retries=0)
    old, recent = await work.defer(), await work.defer()
    await work.run_all()
    async with database.unscoped_connection() as connection:
        await connection.execute(
            "UPDATE procrastinate_events SET at = now() - interval '31 days' WHERE job_id = $1", old
        )
    assert await job_list.delete_old_jobs(database) >= 1
    assert (await job_list.get_job(database, recent)).status == "failed"
    with pytest.raises(NotFoundError):
        await job_list.get_job(database, old)
