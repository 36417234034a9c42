"""Defers jobs: inserts them into the queue, within the transaction of the rows that they work on."""

import json
from typing import Any

from regulars.jobs.job_type import JobArguments

# One deferral of a queue at a time, so that each sees the turns of those before it.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('regulars.defer'), hashtext($1))"

# The turn of a job is its place in the rotation of organizations, stored as negative priority. The current turn is the
# next one to start. An organization that has no jobs joins at the current turn, so it is served next, however many jobs
# of others are waiting; each further job of it is one turn later. Jobs that wait for a retry do not hold the turn back.
_NEXT_TURN = """
WITH unfinished AS (
    SELECT -priority AS turn, args ->> 'organization_id' AS organization_id, status,
           status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()) AS is_due
    FROM procrastinate_jobs
    WHERE queue_name = $1 AND status IN ('todo', 'doing')
)
SELECT greatest(
    coalesce(min(turn) FILTER (WHERE is_due), max(turn) FILTER (WHERE status = 'doing'), 0),
    max(turn) FILTER (WHERE organization_id = $2) + 1
)
FROM unfinished
"""

_INSERT = """
SELECT (procrastinate_defer_jobs_v1(ARRAY[
    ROW($1, $2, $3, NULL, NULL, $4::text::jsonb, NULL)::procrastinate_job_to_defer_v1
]))[1]
"""


async def defer(connection: Any, job_type: str, queue: str, arguments: JobArguments) -> int:
    """Inserts a job into a queue and returns its id.

    Organizations take turns: a job is delayed by at most one job of each other organization. `arguments` must have
    `organization_id`. The connection is in a transaction; the job exists once it commits.
    """
    await connection.execute(_LOCK, queue)
    turn = await connection.fetchval(_NEXT_TURN, queue, str(arguments["organization_id"]))
    job_id: int = await connection.fetchval(_INSERT, queue, job_type, -turn, json.dumps(dict(arguments)))
    return job_id
