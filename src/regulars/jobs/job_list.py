"""The jobs of the queue as people inspect them: list, errors, re-run, cancel, counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from regulars.core.errors import NotFoundError
from regulars.jobs.job_type import JobArguments, JobOutcome, JobType
from regulars.storage.database import Database, transaction

STATUSES: Mapping[str, str] = {
    "queued": "todo",
    "running": "doing",
    "failed": "failed",
    "cancelled": "cancelled",
    "aborted": "aborted",
}
"""The statuses of jobs, and their names in the tables of the queue. Jobs that succeed are deleted.

Failed jobs are not retried unless a person does it. `cancelled` jobs had not started, `aborted` ones were running.
"""

RETENTION_DAYS = 30
"""Number of days that jobs which failed or were cancelled are listed."""


class JobStateError(ValueError):
    """A job is not in a status in which it can be re-run or cancelled."""


@dataclass(frozen=True, slots=True)
class JobError:
    """The error of one attempt."""

    failed_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job of the queue. `next_attempt_at` is None unless it waits for a retry, `error` is that of the last attempt."""

    id: int
    type: str
    queue: str
    status: str
    attempts: int
    arguments: JobArguments
    created_at: datetime | None
    started_at: datetime | None
    next_attempt_at: datetime | None
    error: str | None


_LIST = """
SELECT job.id, job.task_name AS type, job.queue_name AS queue, job.status::text AS status, job.attempts, job.args,
       (SELECT min(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'deferred') AS created_at,
       (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'started') AS started_at,
       CASE WHEN job.status = 'todo' THEN job.scheduled_at END AS next_attempt_at,
       (SELECT error FROM job_errors WHERE job_id = job.id ORDER BY failed_at DESC LIMIT 1) AS error
FROM procrastinate_jobs AS job
WHERE ($1::text IS NULL OR job.status = $1::text::procrastinate_job_status) AND ($2::bigint IS NULL OR job.id = $2)
  AND job.status <> 'succeeded'
  AND ($4::text IS NULL OR job.args ->> 'organization_id' = $4)
ORDER BY job.id DESC
LIMIT $3
"""

_NAMES = {stored: name for name, stored in STATUSES.items()}


def _parse_row(row: Any) -> ListedJob:
    values = {name: row[name] for name in row.keys() if name != "args"}  # noqa: SIM118 - a record is no mapping
    return ListedJob(**{**values, "status": _NAMES[row["status"]], "arguments": msgspec.json.decode(row["args"])})


async def list_jobs(
    database: Database, status: str | None = None, limit: int = 100, organization_id: int | None = None
) -> list[ListedJob]:
    """Returns jobs of a status in STATUSES, by default of all, newest first; on request those of one organization."""
    owner = None if organization_id is None else str(organization_id)
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(_LIST, None if status is None else STATUSES[status], None, limit, owner)
    return [_parse_row(row) for row in rows]


async def get_job(database: Database, job_id: int) -> ListedJob:
    """Returns a job. Raises NotFoundError, also for a job that has succeeded."""
    async with database.unscoped_connection() as connection:
        row = await connection.fetchrow(_LIST, None, job_id, 1, None)
    if row is None:
        raise NotFoundError(f"There is no job {job_id}. Jobs are deleted when they succeed.")
    return _parse_row(row)


async def list_errors(database: Database, job_id: int) -> list[JobError]:
    """Returns the errors of a job's attempts, oldest first."""
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(
            "SELECT failed_at, error FROM job_errors WHERE job_id = $1 ORDER BY failed_at", job_id
        )
    return [JobError(row["failed_at"], row["error"]) for row in rows]


# Workers skip locked jobs.
_LOCK_RETRYABLE = """
SELECT id
FROM procrastinate_jobs
WHERE id = $1 AND status IN ('failed', 'todo')
FOR UPDATE
"""

# Also makes an attempt that is due later due now.
_RETRY = "UPDATE procrastinate_jobs SET status = 'todo', scheduled_at = NULL WHERE id = $1"


async def retry_job(database: Database, job_id: int, job_types: Mapping[str, JobType]) -> None:
    """Runs a failed job again, or the next attempt of a waiting one now. Raises NotFoundError and JobStateError."""
    job = await get_job(database, job_id)
    async with database.unscoped_connection() as connection, transaction(connection):
        if await connection.fetchval(_LOCK_RETRYABLE, job_id) is None:
            raise JobStateError(f"Job {job_id} is {job.status}. Only failed and queued jobs can be re-run.")
        # Before a worker can start it, so that an attempt finds what it has to do in the state of a waiting job.
        if (job_type := job_types.get(job.type)) is not None:
            await job_type.record(job.arguments, JobOutcome.WAITING, None)
        await connection.execute(_RETRY, job_id)


async def cancel_job(database: Database, job_id: int, job_types: Mapping[str, JobType]) -> None:
    """Cancels a queued job, and has a running one stop within seconds. Raises NotFoundError and JobStateError."""
    job = await get_job(database, job_id)
    async with database.unscoped_connection() as connection:
        if not await cancel(connection, job_id):
            raise JobStateError(f"Job {job_id} is {job.status}. Only queued and running jobs can be cancelled.")
    if (job_type := job_types.get(job.type)) is not None:
        await job_type.record(job.arguments, JobOutcome.CANCELLED, None)


async def cancel(connection: Any, job_id: int | None) -> bool:
    """Cancels a job in the connection's transaction. Returns False if it has finished."""
    cancelled = await connection.fetchval("SELECT procrastinate_cancel_job_v1($1, true, false)", job_id)
    return cancelled is not None


async def count_by_status(database: Database, statuses: Sequence[str]) -> dict[str, int]:
    """Returns the number of jobs of each of these statuses."""
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(
            """
            SELECT status::text AS status, count(*) AS jobs
            FROM procrastinate_jobs
            WHERE status::text = ANY ($1)
            GROUP BY status
            """,
            [STATUSES[each] for each in statuses],
        )
    return {**dict.fromkeys(statuses, 0), **{_NAMES[row["status"]]: row["jobs"] for row in rows}}


# The last event of a job is when it ended. Errors of jobs that have succeeded since go as well.
_DELETE_OLD = """
WITH deleted AS (
    DELETE FROM procrastinate_jobs AS job
    WHERE job.status IN ('failed', 'cancelled', 'aborted', 'succeeded')
      AND NOT EXISTS (
          SELECT FROM procrastinate_events
          WHERE job_id = job.id AND at > now() - make_interval(days => $1)
      )
    RETURNING job.id
)
SELECT count(*) FROM deleted
"""

_DELETE_ERRORS = """
DELETE FROM job_errors AS error
WHERE failed_at < now() - interval '1 hour' AND NOT EXISTS (SELECT FROM procrastinate_jobs WHERE id = error.job_id)
"""


async def delete_old_jobs(database: Database) -> int:
    """Deletes jobs that ended RETENTION_DAYS ago, and the errors of jobs that are deleted; returns their number."""
    async with database.unscoped_connection() as connection:
        deleted: int = await connection.fetchval(_DELETE_OLD, RETENTION_DAYS)
        await connection.execute(_DELETE_ERRORS)
    return deleted
