"""Jobs of an organization over HTTP: list, errors, run again, cancel. Those of others and of the system are not visible."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from regulars.api.admin import authority
from regulars.api.admin.declarations import (
    INSTANT,
    INSTANT_OR_NULL,
    INTEGER,
    TEXT,
    TEXT_OR_NULL,
    endpoint,
    many,
    not_found,
    one,
    organization_id,
    parse_choice,
    parse_integer,
)
from regulars.auth import audit_rules, permits
from regulars.core.errors import field_error
from regulars.jobs import exports, job_list
from regulars.jobs.job_list import JobStateError, ListedJob
from regulars.jobs.job_type import JobType
from regulars.storage.database import Database
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint, ReadHandler
from regulars.web.envelopes import data_envelope

MAX_JOBS = 1_000

_Change = Callable[[Database, int, Mapping[str, JobType]], Awaitable[None]]


def _describe(job: ListedJob) -> dict[str, object]:
    return {
        "id": job.id,
        "type": job.type,
        "status": job.status,
        "attempts": job.attempts,
        "arguments": {name: value for name, value in job.arguments.items() if name != "organization_id"},
        "created_at": job.created_at,
        "started_at": job.started_at,
        "next_attempt_at": job.next_attempt_at,
        "error": job.error,
    }


async def _list(context: RequestContext) -> dict[str, object]:
    authority.require_whole_organization(context.principal)
    status = parse_choice(context, "status", tuple(job_list.STATUSES))
    limit = parse_integer(context, "limit", 100, MAX_JOBS)
    owner = organization_id(context.principal)
    found = await job_list.list_jobs(context.app.database, status, limit, owner)
    return data_envelope([_describe(each) for each in found])


async def _find(context: RequestContext) -> ListedJob:
    authority.require_whole_organization(context.principal)
    job = await job_list.get_job(context.app.database, context.path_integer("id"))
    if job.arguments.get("organization_id") != organization_id(context.principal):
        raise not_found("job", job.id)
    return job


async def _read(context: RequestContext) -> dict[str, object]:
    job = await _find(context)
    errors = await job_list.list_errors(context.app.database, job.id)
    return data_envelope({**_describe(job), "errors": [{"at": each.failed_at, "error": each.error} for each in errors]})


def _change_handler(change: _Change) -> ReadHandler:
    async def handle(context: RequestContext) -> dict[str, object]:
        job, app = await _find(context), context.app
        context.audit.details |= {"type": job.type, "status": job.status}
        # Before the change, so that none is made that is not recorded.
        await context.audit.write()
        job_types = {each.name: each for each in exports.job_types(app.settings, app.backends)}
        try:
            await change(app.database, job.id, job_types)
        except JobStateError as error:
            raise field_error("id", str(error).rstrip(".")) from None
        return data_envelope(_describe(await job_list.get_job(app.database, job.id)))

    return handle


_JOB: dict[str, Any] = {
    "id": INTEGER,
    "type": TEXT,
    "status": {**TEXT, "enum": list(job_list.STATUSES)},
    "attempts": INTEGER,
    "arguments": {"type": "object"},
    "created_at": INSTANT_OR_NULL,
    "started_at": INSTANT_OR_NULL,
    "next_attempt_at": INSTANT_OR_NULL,
    "error": TEXT_OR_NULL,
}
_ERROR = {"type": "object", "properties": {"at": INSTANT, "error": TEXT}, "required": ["at", "error"]}

ENDPOINTS: tuple[Endpoint, ...] = (
    endpoint(
        "GET",
        "/jobs",
        "List jobs of the organization, newest first; those that succeed are deleted",
        None,
        read_handler=_list,
        permit=permits.ADMIN_JOB_READ,
        query_params={"status": f"One of {', '.join(job_list.STATUSES)}.", "limit": f"1 to {MAX_JOBS}; default 100."},
        schema=many("Job", _JOB),
    ),
    endpoint(
        "GET",
        "/jobs/{id}",
        "Get a job with the errors of its attempts",
        None,
        read_handler=_read,
        permit=permits.ADMIN_JOB_READ,
        schema=one("JobDetails", {**_JOB, "errors": {"type": "array", "items": _ERROR}}),
    ),
    endpoint(
        "POST",
        "/jobs/{id}/retry",
        "Run a failed job again, or the next attempt of a waiting one now",
        None,
        read_handler=_change_handler(job_list.retry_job),
        permit=permits.ADMIN_JOB_WRITE,
        audit=audit_rules.CHANGE_JOB,
        schema=one("Job", _JOB),
    ),
    endpoint(
        "POST",
        "/jobs/{id}/cancel",
        "Cancel a job that is queued or running",
        None,
        read_handler=_change_handler(job_list.cancel_job),
        permit=permits.ADMIN_JOB_WRITE,
        audit=audit_rules.CHANGE_JOB,
        schema=one("Job", _JOB),
    ),
)
