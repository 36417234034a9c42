"""`regulars jobs`: the jobs of the queue, those that failed among them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from regulars.cli.options import ID_RANGE, CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.progress import format_json, format_table
from regulars.core import timestamps
from regulars.jobs import exports, job_list
from regulars.jobs.job_list import STATUSES, JobError, JobStateError, ListedJob
from regulars.jobs.job_type import JobType
from regulars.query.backends import Backends
from regulars.storage.database import Database

jobs = App(
    name="jobs",
    help="""Lists the jobs of the queue, such as exports, and runs failed ones again.

    Example: `regulars jobs list --status failed`
    """,
)

JobId = Annotated[int, Parameter(validator=ID_RANGE, help="ID of the job.")]
Output = Annotated[str, Parameter(name=["-o", "--output"], help="Output format: table or json.")]

OUTPUTS = ("table", "json")
MAX_LISTED = 10_000


@jobs.command(name="list")
def list_(
    *,
    status: Annotated[str | None, Parameter(help=f"Status of the jobs: {', '.join(STATUSES)}. Default: all.")] = None,
    limit: Annotated[int, Parameter(help="Maximum number of jobs.")] = 100,
    output: Output = "table",
    common: CommonOptions | None = None,
) -> int:
    """Lists jobs, newest first. Jobs that succeed are deleted; others that have ended are listed for 30 days.

    Example: `regulars jobs list --status failed -o json`
    """
    require_output(output)
    if status is not None and status not in STATUSES:
        raise UsageError(f"--status is {status!r}. Allowed: {', '.join(STATUSES)}.")
    if not 1 <= limit <= MAX_LISTED:
        raise UsageError(f"--limit is {limit}. Allowed: 1 to {MAX_LISTED}.")
    found = run_with_database(common, lambda database: job_list.list_jobs(database, status, limit))
    if output == "json":
        print(format_json(found))
        return 0
    header = ("id", "type", "status", "attempts", "created", "next attempt", "arguments", "error")
    print(format_table(header, [_row(each) for each in found]))
    return 0


def require_output(output: str) -> None:
    """Raises UsageError for an output format other than those of lists."""
    if output not in OUTPUTS:
        raise UsageError(f"-o is {output!r}. Allowed: {', '.join(OUTPUTS)}.")


def _row(job: ListedJob) -> list[object]:
    arguments = " ".join(f"{name}={value}" for name, value in job.arguments.items())
    return [
        job.id, job.type, job.status, job.attempts, _time(job.created_at), _time(job.next_attempt_at), arguments, job.error,
    ]  # fmt: skip


def _time(at: datetime | None) -> str:
    return "" if at is None else timestamps.format_timestamp(at)


@jobs.command
def show(job_id: JobId, *, output: Output = "table", common: CommonOptions | None = None) -> int:
    """Shows a job with the errors of its attempts.

    Example: `regulars jobs show 42`
    """
    require_output(output)

    async def work(database: Database) -> tuple[ListedJob, list[JobError]]:
        return await job_list.get_job(database, job_id), await job_list.list_errors(database, job_id)

    job, errors = run_with_database(common, work)
    if output == "json":
        print(format_json({"job": job, "errors": errors}))
        return 0
    shown = {
        "id": job.id,
        "type": job.type,
        "queue": job.queue,
        "status": job.status,
        "attempts": job.attempts,
        "created": _time(job.created_at),
        "started": _time(job.started_at),
        "next attempt": _time(job.next_attempt_at),
        **job.arguments,
    }
    print(format_table(("job", ""), [[name, value] for name, value in shown.items()]))
    if errors:
        print()
        print(format_table(("failed", "error"), [[_time(each.failed_at), each.error] for each in errors]))
    return 0


@jobs.command
def retry(job_id: JobId, *, common: CommonOptions | None = None) -> int:
    """Runs a failed job again, or the next attempt of a job that waits for it now.

    Example: `regulars jobs retry 42`
    """
    _change(common, job_list.retry_job, job_id)
    print(f"Job {job_id} is queued. A running server or worker starts it.")
    return 0


@jobs.command
def cancel(job_id: JobId, *, common: CommonOptions | None = None) -> int:
    """Cancels a job that is queued or running. A running one stops within seconds.

    Example: `regulars jobs cancel 42`
    """
    _change(common, job_list.cancel_job, job_id)
    print(f"Job {job_id} is cancelled.")
    return 0


def _change(
    common: CommonOptions | None,
    change: Callable[[Database, int, Mapping[str, JobType]], Awaitable[Any]],
    job_id: int,
) -> None:
    settings = load_settings(common)

    async def work(database: Database) -> None:
        job_types = {each.name: each for each in exports.job_types(settings, Backends(database))}
        await change(database, job_id, job_types)

    try:
        run_with_database(common, work)
    except JobStateError as error:
        raise UsageError(str(error)) from None
