"""Saved views of reports, and the names of what labels identify by ids."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from regulars.api.reporting import view_schemas
from regulars.api.reporting.view_schemas import MAX_NAME_LENGTH, MAX_QUERY_BYTES, PERIOD_PATTERN
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.charts.label_names import TABLES, names_of_ids
from regulars.core.errors import NotFoundError
from regulars.model import saved_views
from regulars.model.saved_views import MAX_VIEWS, NewView, SavedView, TooManyViewsError
from regulars.query import costs
from regulars.query.encoders import format_timestamp
from regulars.query.errors import ErrorCollector, ParameterError, json_type, not_in
from regulars.query.parser.request import decode_body, parse_whole_query, reject_unknown_keys
from regulars.reports.report import ReportFormat
from regulars.web.context import ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery
from regulars.web.errors import ApiError

_TAG = "reporting"
_PATH = "/v1/reporting/views"

_ANY_RANGE = {"from": "2026-01-01", "to": "2026-01-02"}

_MAX_IDS = 1_000
"""Ids of one label whose names are returned."""


def _as_json(view: SavedView, context: ReportRequest) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "report": view.report,
        "query": view.query,
        "period": view.period,
        "is_shared": view.is_shared,
        "is_own": view.user_id == context.principal.user_id,
        "saved_by": view.saved_by,
        "created_at": format_timestamp(view.created_at),
    }


async def _visible(context: ReportRequest, connection: Any) -> list[dict[str, Any]]:
    """The views of reports that the caller may query."""
    found = await saved_views.list_visible(connection, context.organization_id, context.principal.user_id)
    reports = context.app.reports
    return [
        _as_json(each, context)
        for each in found
        if each.report in reports and permits.has_permit(context.principal.permits, reports[each.report].permit)
    ]


def _list(context: ReportRequest) -> PricedQuery:
    async def execute() -> object:
        async with context.app.database.organization_transaction(context.organization_id) as connection:
            return {"views": await _visible(context, connection)}

    return PricedQuery(costs.METADATA_COST, execute)


def _create(context: ReportRequest) -> PricedQuery:
    new = _parse(context)

    async def execute() -> object:
        async with context.app.database.organization_transaction(context.organization_id) as connection:
            try:
                view_id = await saved_views.insert(connection, context.organization_id, new, context.now)
            except TooManyViewsError:
                raise ApiError(429, f"An organization has at most {MAX_VIEWS} saved views. Delete some.") from None
            context.audit.subject_ids = [str(view_id)]
            await context.audit.insert(connection)
            views = await _visible(context, connection)
        context.audit.is_written = True
        return {"view": next(each for each in views if each["id"] == view_id)}

    return PricedQuery(costs.METADATA_COST, execute)


def _parse(context: ReportRequest) -> NewView:
    """The view in a request. Raises InvalidParametersError, and AccessDenied for a report without its permit."""
    params = decode_body(context.body)
    errors = ErrorCollector()
    reject_unknown_keys(params, ("name", "query", "period", "is_shared"), errors)
    name = params.get("name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= MAX_NAME_LENGTH or "\0" in name:
        errors.add(("name",), ParameterError("invalid", f"Must be a text of 1 to {MAX_NAME_LENGTH} characters."))
    is_shared = params.get("is_shared", False)
    if not isinstance(is_shared, bool):
        errors.add(
            ("is_shared",), ParameterError("not_a_boolean", f"Must be true or false, not {json_type(is_shared)}.")
        )
    period = params.get("period")
    if period is not None and not (isinstance(period, str) and re.fullmatch(PERIOD_PATTERN, period)):
        errors.add(("period",), ParameterError("invalid", "Must be a period such as 30d, 4w, 12mo or this_month."))
    query = params.get("query")
    if not isinstance(query, dict):
        errors.add(("query",), ParameterError("not_an_object", f"Must be an object, not {json_type(query)}."))
    elif len(context.body) > MAX_QUERY_BYTES:
        errors.add(("query",), ParameterError("too_long", f"Must have at most {MAX_QUERY_BYTES} bytes."))
    if errors.errors:
        raise errors.to_exception()
    assert isinstance(query, dict)  # noqa: S101 - checked above
    # The period takes the place of the range when the view is opened.
    report = context.app.reports.get(str(query.get("report")))
    has_range = report is not None and report.format is not ReportFormat.RECORDS
    range_to_check = _ANY_RANGE if period is not None and has_range else {}
    parsed = parse_whole_query({**range_to_check, **query}, context.app.reports, errors, context.segments)
    context.require_permit(parsed.report.permit)
    raw = msgspec.json.decode(context.body, type=dict[str, msgspec.Raw])["query"]
    user_id = context.principal.user_id
    return NewView(
        str(name).strip(),
        parsed.report.name,
        msgspec.json.decode(raw),
        period,
        is_shared or user_id is None,
        user_id,
    )


def _delete(context: ReportRequest) -> PricedQuery:
    missing = NotFoundError("Saved view not found, or saved by someone else.")

    async def execute() -> object:
        text = context.path_params["id"]
        if not re.fullmatch("[0-9]{1,9}", text):
            raise missing
        async with context.app.database.organization_transaction(context.organization_id) as connection:
            views = {each["id"]: each for each in await _visible(context, connection)}
            if not await saved_views.delete(connection, context.organization_id, int(text), context.principal.user_id):
                raise missing
            await context.audit.insert(connection)
        context.audit.is_written = True
        return {"view": views[int(text)]}

    return PricedQuery(costs.METADATA_COST, execute)


# Names of labels ----------------------------------------------------------------------------------------------


def _label_names(context: ReportRequest) -> PricedQuery:
    ids = _parse_labels(context.body)

    async def execute() -> object:
        found = await names_of_ids(context.app.database, context.tenants, _of_own_stores(ids, context))
        return {"names": {key: {str(each): name for each, name in names.items()} for key, names in found.items()}}

    return PricedQuery(costs.METADATA_COST, execute)


def _of_own_stores(ids: Mapping[str, set[int]], context: ReportRequest) -> Mapping[str, set[int]]:
    """The ids without stores that the caller may not see."""
    allowed = context.principal.location_ids
    if allowed is None:
        return ids
    return {key: each & set(allowed) if TABLES[key] == "locations" else each for key, each in ids.items()}


def _parse_labels(body: bytes) -> Mapping[str, set[int]]:
    params = decode_body(body)
    errors = ErrorCollector()
    reject_unknown_keys(params, ("labels",), errors)
    labels = params.get("labels")
    if not isinstance(labels, dict):
        errors.add(("labels",), ParameterError("not_an_object", f"Must be an object, not {json_type(labels)}."))
        raise errors.to_exception()
    for key, ids in labels.items():
        if key not in TABLES:
            errors.add(("labels", key), not_in(TABLES, "label", key))
        elif not isinstance(ids, list) or len(ids) > _MAX_IDS or not all(type(each) is int for each in ids):
            errors.add(("labels", key), ParameterError("invalid", f"Must be an array of at most {_MAX_IDS} integers."))
        elif not all(0 <= each < 2**31 for each in ids):
            errors.add(("labels", key), ParameterError("invalid", "Must be ids, from 0 to 2147483647."))
    if errors.errors:
        raise errors.to_exception()
    return {key: set(ids) for key, ids in labels.items()}


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PATH,
        "List the saved views of reports: shared ones, and those of the person",
        report_handler=_list,
        permit=permits.QUERY,
        audit=audit_rules.NOTHING,
        schema=view_schemas.LIST,
        caller=Caller.REPORTING,
        needs_customer=False,
        is_limited_to_stores=True,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        _PATH,
        "Save a view of a report",
        report_handler=_create,
        status=201,
        permit=permits.QUERY,
        audit=audit_rules.CHANGE_VIEW,
        schema=view_schemas.CREATE,
        caller=Caller.REPORTING,
        needs_customer=False,
        is_limited_to_stores=True,
        tag=_TAG,
    ),
    Endpoint(
        "DELETE",
        f"{_PATH}/{{id}}",
        "Delete a saved view",
        report_handler=_delete,
        permit=permits.QUERY,
        audit=audit_rules.CHANGE_VIEW,
        schema=view_schemas.DELETE,
        caller=Caller.REPORTING,
        needs_customer=False,
        is_limited_to_stores=True,
        tag=_TAG,
    ),
    Endpoint(
        "POST",
        "/v1/reporting/label_names",
        "Get the names of what labels of groups identify by ids, such as stores",
        report_handler=_label_names,
        permit=permits.QUERY,
        audit=audit_rules.NOTHING,
        schema=view_schemas.LABEL_NAMES,
        caller=Caller.REPORTING,
        is_limited_to_stores=True,
        tag=_TAG,
    ),
)
