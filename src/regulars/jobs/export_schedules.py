"""Runs schedules: requests the exports that are due, once each, however many processes run."""

import dataclasses
from datetime import datetime
from typing import Any

import structlog

from regulars.auth.tenants import get_tenants
from regulars.exports import cleanup, export_table, schedule_table
from regulars.exports.schedule import ScheduleInvalidError, export_of_run
from regulars.exports.schedule_table import Schedule
from regulars.jobs import exports
from regulars.jobs.exports import Record
from regulars.query.parser.request import ReportRegistry
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.settings import Settings
from regulars.storage.database import Database

_log = structlog.get_logger("regulars.jobs")


async def run_due(database: Database, settings: Settings, reports: ReportRegistry = REPORTS_BY_NAME) -> int:
    """Requests an export for each schedule that is due; returns the number of exports.

    Runs that were missed, because no process was running, are one export: the latest of them. A run is skipped while an
    export of the schedule waits or runs.
    """
    requested = 0
    for organization_id in await cleanup.list_organizations(database):
        async with database.organization_transaction(organization_id) as connection:
            now = database.clock()
            for schedule in await schedule_table.lock_due(connection, organization_id, now):
                requested += await _run(connection, schedule, now, settings, reports)
    return requested


async def _run(connection: Any, schedule: Schedule, now: datetime, settings: Settings, reports: ReportRegistry) -> int:
    scheduled_for = schedule.expression.latest_until(now, schedule.next_run_at)
    await schedule_table.set_next_run(connection, schedule, schedule.expression.next_after(now))
    if await export_table.has_unfinished_of_schedule(connection, schedule.organization_id, schedule.id):
        _log.warning("schedule.skipped", schedule=str(schedule.id), reason="its last export has not finished")
        return 0
    tenants = await get_tenants(connection, schedule.organization_id, schedule.community_ids)
    try:
        new = export_of_run(schedule, tenants, scheduled_for, reports, settings)
        await exports.insert_export(connection, new, now)
    except (ScheduleInvalidError, exports.TooManyExportsError) as error:
        _log.warning("schedule.skipped", schedule=str(schedule.id), reason=str(error))
        return 0
    return 1


async def run_now(
    database: Database, schedule: Schedule, settings: Settings, reports: ReportRegistry = REPORTS_BY_NAME
) -> export_table.Export:
    """Requests an export of a schedule now; its next run stays. Raises ScheduleInvalidError, TooManyExportsError."""
    async with database.unscoped_connection() as connection:
        tenants = await get_tenants(connection, schedule.organization_id, schedule.community_ids)
    new = export_of_run(schedule, tenants, database.clock(), reports, settings)
    return await exports.request_export(database, new)


class TooManySchedulesError(Exception):
    """An organization has as many schedules as it may have."""


MAX_SCHEDULES = 100
"""Number of schedules that an organization may have."""


async def create(database: Database, schedule: Schedule, record: Record | None = None) -> None:
    """Stores and records a new schedule. Raises TooManySchedulesError."""
    async with database.organization_transaction(schedule.organization_id) as connection:
        if await schedule_table.count(connection, schedule.organization_id) >= MAX_SCHEDULES:
            raise TooManySchedulesError(
                f"The organization has {MAX_SCHEDULES} schedules, the maximum. Delete one that is no longer needed."
            )
        await schedule_table.insert(connection, schedule)
        if record is not None:
            await record(connection, schedule.id)


async def replace(database: Database, schedule: Schedule, record: Record) -> Schedule | None:
    """Replaces and records a schedule, which keeps its secret and the time of its creation; None if there is none."""
    async with database.organization_transaction(schedule.organization_id) as connection:
        before = await schedule_table.lock(connection, schedule.organization_id, schedule.id)
        if before is None:
            return None
        secret = schedule.webhook_secret and (before.webhook_secret or schedule.webhook_secret)
        found = dataclasses.replace(schedule, created_at=before.created_at, webhook_secret=secret)
        await schedule_table.replace(connection, found)
        await record(connection, found.id)
    return found


async def delete(database: Database, schedule: Schedule, record: Record | None = None) -> bool:
    """Deletes and records a schedule; False if there is none."""
    async with database.organization_transaction(schedule.organization_id) as connection:
        is_deleted = await schedule_table.delete(connection, schedule.organization_id, schedule.id)
        if is_deleted and record is not None:
            await record(connection, schedule.id)
    return is_deleted
