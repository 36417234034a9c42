"""Takes over the jobs of workers that died: those whose heartbeat has stopped."""

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from regulars.jobs.job_type import JobOutcome, JobType
from regulars.storage.database import Database

HEARTBEATS = 6
"""Number of heartbeats of a worker within the time after which it is considered dead."""

MAX_DEATHS = 3
"""A job whose worker died this often is not started again: it probably is what kills the workers."""

ERROR = "The worker died while it ran this job."

SINCE_RERUN = """
failure.failed_at > coalesce(
    (SELECT max(event.at) FROM procrastinate_events AS event WHERE event.job_id = failure.job_id AND event.type = 'retried'),
    '-infinity'
)
"""
"""The condition of the errors of a job, `failure`, that are later than its last re-run by a person."""

# The statement sees the errors of earlier deaths only, so the current one is added.
_TAKE_OVER = f"""
WITH abandoned AS (
    SELECT id, abort_requested
    FROM procrastinate_jobs
    WHERE status = 'doing'
      AND (
          worker_id IS NULL
          OR worker_id IN (
              SELECT id FROM procrastinate_workers WHERE last_heartbeat < now() - make_interval(secs => $1)
          )
      )
    FOR UPDATE SKIP LOCKED
),
deaths AS (
    INSERT INTO job_errors (job_id, error)
    SELECT id, $2 FROM abandoned WHERE NOT abort_requested
),
counted AS (
    SELECT a.id, a.abort_requested,
           1 + (
               SELECT count(*)
               FROM job_errors AS failure
               WHERE failure.job_id = a.id AND failure.error = $2 AND {SINCE_RERUN}
           ) AS deaths
    FROM abandoned AS a
)
UPDATE procrastinate_jobs AS job
SET status = (
        CASE WHEN counted.abort_requested THEN 'aborted' WHEN counted.deaths >= $3 THEN 'failed' ELSE 'todo' END
    )::procrastinate_job_status,
    abort_requested = false,
    attempts = job.attempts + 1,
    scheduled_at = NULL
FROM counted
WHERE job.id = counted.id
RETURNING job.id, job.task_name, job.args, job.status::text
"""

_OUTCOMES = {"todo": JobOutcome.WAITING, "failed": JobOutcome.FAILED, "aborted": JobOutcome.CANCELLED}

_log = structlog.get_logger("regulars.jobs")


async def take_over(database: Database, job_types: Mapping[str, JobType], timeout_seconds: float) -> int:
    """Returns the jobs of workers without a heartbeat for `timeout_seconds` to the queue, and returns their number.

    A job whose worker died MAX_DEATHS times since a person last ran it again fails, one that was to be cancelled is cancelled.
    """
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch(_TAKE_OVER, timeout_seconds, ERROR, MAX_DEATHS)
    for row in rows:
        _log.warning("job.taken_over", job=row["id"], type=row["task_name"], status=row["status"])
        await _record(job_types, row)
    return len(rows)


async def _record(job_types: Mapping[str, JobType], row: Any) -> None:
    if (job_type := job_types.get(row["task_name"])) is not None:
        outcome = _OUTCOMES[row["status"]]
        await job_type.record(
            msgspec.json.decode(row["args"]), outcome, None if outcome is JobOutcome.CANCELLED else ERROR
        )
