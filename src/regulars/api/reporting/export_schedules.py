"""Schedules of exports: create, list, get, replace, delete."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from regulars.api.reporting import export_schemas
from regulars.api.reporting.export_description import format_time
from regulars.api.reporting.export_files import parse_id
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.exports import export_table, schedule_table
from regulars.exports.export import require_exportable
from regulars.exports.schedule import RequestedSchedule, new_schedule, parse_schedule
from regulars.exports.schedule_table import Schedule
from regulars.jobs import export_schedules
from regulars.query import costs
from regulars.query.parser.request import decode_body
from regulars.web.context import ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery
from regulars.web.errors import ApiError

_TAG = "exports"
_PATH = "/v1/reporting/export_schedules"

SHOWN_RUNS = 10
"""Number of latest runs that are shown with a schedule."""

_SECRET_BYTES = 24


def _parse(context: ReportRequest) -> RequestedSchedule:
    requested = parse_schedule(
        decode_body(context.body),
        context.tenants,
        context.app.reports,
        context.app.settings,
        context.now,
        context.segments,
    )
    context.require_permit(requested.query.report.permit)
    if requested.has_customer_columns:
        context.require_permit(permits.TENANTS_EXPORT)
    return requested


def _create(context: ReportRequest) -> PricedQuery:
    requested = _parse(context)

    async def execute() -> object:
        schedule = _schedule(context, requested)
        try:
            await export_schedules.create(context.app.database, schedule, context.audit.insert_subject)
        except export_schedules.TooManySchedulesError as error:
            raise ApiError(429, str(error)) from None
        context.audit.is_written = True
        return {"export_schedule": _with_secret(schedule, await _describe(context, schedule))}

    return PricedQuery(costs.METADATA_COST, execute)


def _replace(context: ReportRequest) -> PricedQuery:
    requested = _parse(context)

    async def execute() -> object:
        before = await _find(context)
        new = replace(_schedule(context, requested), id=before.id)
        schedule = await export_schedules.replace(context.app.database, new, context.audit.insert_subject)
        if schedule is None:
            raise _not_found()
        context.audit.is_written = True
        described = await _describe(context, schedule)
        is_new_secret = schedule.webhook_secret == new.webhook_secret
        return {"export_schedule": _with_secret(schedule, described) if is_new_secret else described}

    return PricedQuery(costs.METADATA_COST, execute)


def _schedule(context: ReportRequest, requested: RequestedSchedule) -> Schedule:
    require_exportable(
        requested.query, context.tenants, with_customer_columns=requested.has_customer_columns, now=context.now
    )
    return new_schedule(
        requested,
        context.tenants,
        context.principal.permits,
        context.principal.token_id,
        context.now,
        webhook_secret=secrets.token_bytes(_SECRET_BYTES) if requested.target.webhook_url else None,
    )


def _with_secret(schedule: Schedule, described: dict[str, Any]) -> dict[str, Any]:
    if schedule.webhook_secret is None:
        return described
    return {**described, "webhook_secret": f"whsec_{base64.b64encode(schedule.webhook_secret).decode()}"}


def _list(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        found = await schedule_table.list_all(
            context.app.database, context.organization_id, {each.community_id for each in context.tenants}
        )
        visible = [each for each in found if _has_report_permit(context, each)]
        return {"export_schedules": [await _describe(context, each) for each in visible]}

    return PricedQuery(costs.METADATA_COST, execute)


def _get(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        return {"export_schedule": await _describe(context, await _find(context))}

    return PricedQuery(costs.METADATA_COST, execute)


def _delete(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        schedule = await _find(context)
        described = await _describe(context, schedule)
        if not await export_schedules.delete(context.app.database, schedule, context.audit.insert_subject):
            raise _not_found()
        context.audit.is_written = True
        return {"export_schedule": {**described, "next_run_at": None}}

    return PricedQuery(costs.METADATA_COST, execute)


async def _find(context: ReportRequest) -> Schedule:
    """The schedule in the path. Raises ApiError, 404, and AccessDenied, 403, as for an export."""
    try:
        schedule_id = parse_id(context.path_params["id"])
    except ApiError:
        raise _not_found() from None
    found = await schedule_table.get(context.app.database, context.organization_id, schedule_id)
    if found is None or not set(found.community_ids) <= {each.community_id for each in context.tenants}:
        raise _not_found()
    report = context.app.reports.get(found.request["report"])
    if report is not None:
        context.require_permit(report.permit)
    return found


def _not_found() -> ApiError:
    return ApiError(404, "Export schedule not found, or not accessible with this token.")


def _has_report_permit(context: ReportRequest, schedule: Schedule) -> bool:
    report = context.app.reports.get(schedule.request["report"])
    return report is None or permits.has_permit(context.principal.permits, report.permit)


async def _describe(context: ReportRequest, schedule: Schedule) -> dict[str, Any]:
    """A schedule as clients see it, with its latest runs."""
    found = await export_table.list_latest(
        context.app.database, schedule.organization_id, schedule_id=schedule.id, limit=SHOWN_RUNS
    )
    return describe_schedule(schedule, found)


def describe_schedule(schedule: Schedule, runs: list[export_table.Export]) -> dict[str, Any]:
    """A schedule as clients see it, with runs of it, latest first."""
    request: Mapping[str, Any] = schedule.request
    return {
        "id": str(schedule.id),
        "name": schedule.name,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "request": {key: value for key, value in request.items() if key not in ("name", "cron", "timezone")},
        "community_ids": schedule.community_ids,
        "next_run_at": format_time(schedule.next_run_at),
        "created_at": format_time(schedule.created_at),
        "updated_at": format_time(schedule.updated_at),
        "runs": [
            {
                "export_id": str(each.id),
                "scheduled_for": format_time(each.scheduled_for),
                "status": each.status.value,
                "rows": each.rows_written,
                "error": each.error,
            }
            for each in runs
        ],
    }


def _endpoint(method: str, path: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    declared = {"permit": permits.EXPORT, "caller": Caller.REPORTING, "tag": _TAG, "audit": audit_rules.NOTHING, **more}
    return Endpoint(method, f"{_PATH}{path}", summary, report_handler=handler, **declared)


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", "", "List export schedules", _list, needs_customer=False, schema=export_schemas.SCHEDULES),
    _endpoint(
        "POST",
        "",
        "Create an export schedule",
        _create,
        status=201,
        schema=export_schemas.schedule_schema(),
        audit=audit_rules.CREATE_EXPORT_SCHEDULE,
    ),
    _endpoint(
        "GET",
        "/{id}",
        "Get an export schedule with its latest runs",
        _get,
        needs_customer=False,
        schema=export_schemas.SCHEDULE,
    ),
    _endpoint(
        "PUT",
        "/{id}",
        "Replace an export schedule",
        _replace,
        schema=export_schemas.schedule_schema(),
        audit=audit_rules.CHANGE_EXPORT_SCHEDULE,
    ),
    _endpoint(
        "DELETE",
        "/{id}",
        "Delete an export schedule",
        _delete,
        needs_customer=False,
        schema=export_schemas.SCHEDULE,
        audit=audit_rules.CHANGE_EXPORT_SCHEDULE,
    ),
)
