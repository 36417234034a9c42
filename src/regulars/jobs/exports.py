"""Exports as jobs: request, cancel, and the job type that runs them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from regulars.auth.errors import AccessDenied
from regulars.exports import cleanup, export_table
from regulars.exports.export_table import Export, ExportStatus, NewExport
from regulars.exports.run import ExportRefusedError, ExportRunner
from regulars.jobs import job_list
from regulars.jobs.defer import defer
from regulars.jobs.export_notifications import announce, notification_job_type
from regulars.jobs.job_type import JobArguments, JobOutcome, JobType, PermanentJobError
from regulars.query.backends import Backends
from regulars.query.parser.request import ReportRegistry
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.settings import Settings
from regulars.storage.database import Database

JOB_NAME = "run_export"
QUEUE = "exports"

MAX_UNFINISHED = 10_000
"""Number of exports of an organization that may wait or run. More are rejected with 429."""

LOST_ERROR = "The job of this export was lost."


Record = Callable[[Any, UUID], Awaitable[None]]
"""Records a request, such as in the audit log, in the transaction of a connection, with the id of its object."""


class TooManyExportsError(AccessDenied):
    """An organization has too many exports that wait or run."""

    def __init__(self) -> None:
        super().__init__(
            429,
            f"The organization has {MAX_UNFINISHED} exports that wait or run. Request more when some have finished.",
            {"Retry-After": "60"},
        )


class KeyConflictError(Exception):
    """An idempotency key was used for another request."""


async def request_export(database: Database, new: NewExport, record: Record | None = None) -> Export:
    """Creates an export and its job in one transaction, which also records it; returns the export.

    The same idempotency key and request return the export that was created first. Raises KeyConflictError for another
    request with the key, TooManyExportsError.
    """
    async with database.organization_transaction(new.organization_id) as connection:
        existing = (
            None if new.key_hash is None else await export_table.lock_key(connection, new.organization_id, new.key_hash)
        )
        if existing is None:
            await insert_export(connection, new, database.clock())
        elif existing.request_hash != new.request_hash:
            raise KeyConflictError
        export_id = new.id if existing is None else existing.id
        if record is not None:
            await record(connection, export_id)
    found = await export_table.get(database, new.organization_id, export_id)
    assert found is not None  # noqa: S101 - an export is not deleted before it has finished
    return found


async def insert_export(connection: Any, new: NewExport, now: datetime) -> None:
    """Inserts an export and its job within a transaction of its organization. Raises TooManyExportsError."""
    if await export_table.count_unfinished(connection, new.organization_id) >= MAX_UNFINISHED:
        raise TooManyExportsError
    await export_table.insert(connection, new, now)
    arguments = {"organization_id": new.organization_id, "export_id": str(new.id)}
    job_id = await defer(connection, JOB_NAME, QUEUE, arguments)
    await export_table.set_job(connection, new.organization_id, new.id, job_id)


async def cancel_export(database: Database, settings: Settings, export: Export) -> Export | None:
    """Cancels an export that waits or runs; None if it has ended. A running one stops within seconds."""
    cancelled = await _end(database, settings, export.organization_id, export.id, ExportStatus.CANCELLED, None)
    if cancelled is not None:
        async with database.unscoped_connection() as connection:
            await job_list.cancel(connection, cancelled.job_id)
    return cancelled


def export_job_type(settings: Settings, backends: Backends, reports: ReportRegistry = REPORTS_BY_NAME) -> JobType:
    """The type of jobs that run exports."""
    runner = ExportRunner(settings, backends, reports, partial(announce, backends.database))
    return JobType(JOB_NAME, QUEUE, partial(_run, runner), partial(_record, settings, backends.database))


async def _run(runner: ExportRunner, arguments: JobArguments) -> None:
    try:
        await runner.run(arguments["organization_id"], UUID(arguments["export_id"]))
    except ExportRefusedError as error:
        raise PermanentJobError(str(error)) from None


_STATUSES = {JobOutcome.FAILED: ExportStatus.FAILED, JobOutcome.CANCELLED: ExportStatus.CANCELLED}


async def _record(
    settings: Settings, database: Database, arguments: JobArguments, outcome: JobOutcome, error: str | None
) -> None:
    organization_id, export_id = arguments["organization_id"], UUID(arguments["export_id"])
    if outcome is JobOutcome.WAITING:
        await export_table.requeue(database, organization_id, export_id, error)
    else:
        await _end(database, settings, organization_id, export_id, _STATUSES[outcome], error)
        await _delete_partial_file(database, settings, organization_id, export_id)


async def _end(
    database: Database,
    settings: Settings,
    organization_id: int,
    export_id: UUID,
    status: ExportStatus,
    error: str | None,
) -> Export | None:
    expires_at = database.clock() + timedelta(days=settings.export_retention_days)
    return await export_table.end(
        database, organization_id, export_id, status, error, expires_at, partial(announce, database)
    )


async def _delete_partial_file(database: Database, settings: Settings, organization_id: int, export_id: UUID) -> None:
    """Deletes what a dead process has left of an export that did not succeed."""
    export = await export_table.get(database, organization_id, export_id)
    if export is not None and export.status in _STATUSES.values():
        await cleanup.delete_file(settings, export)


async def fail_lost_exports(database: Database, settings: Settings) -> int:
    """Fails the exports whose job has ended without them, because its process died in between. Returns their number."""
    failed = 0
    for organization_id in await cleanup.list_organizations(database):
        for export in await export_table.list_lost(database, organization_id):
            error = export.error or LOST_ERROR
            ended = await _end(database, settings, organization_id, export.id, ExportStatus.FAILED, error)
            failed += ended is not None
    return failed


def job_types(settings: Settings, backends: Backends) -> Sequence[JobType]:
    """All types of jobs that requests defer."""
    return (export_job_type(settings, backends), notification_job_type(settings, backends.database))
