"""Segments: named filters over the members of a community."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from regulars.api.reporting import segment_schemas
from regulars.auth import audit_rules, permits
from regulars.auth.authorization import Caller
from regulars.auth.errors import AccessDenied
from regulars.auth.tenants import Tenant
from regulars.core import timestamps
from regulars.query import costs
from regulars.query.encoders import format_timestamp
from regulars.query.errors import ErrorCollector, InvalidParametersError, ParameterError, invalid_parameter
from regulars.query.parser import request
from regulars.query.query import SegmentReference
from regulars.reports.members import MEMBERS, MEMBERS_COUNT
from regulars.reports.report import Report
from regulars.segments import changes, definitions, explain, reads
from regulars.segments.changes import Author, SegmentVersion
from regulars.segments.explain import Currency
from regulars.segments.reads import SegmentPage
from regulars.storage.database import Scope
from regulars.web.context import ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery

_TAG = "segments"

T = TypeVar("T")


def _tenant(context: ReportRequest) -> Tenant:
    """The one community of a request. Raises AccessDenied, 471."""
    if len(context.tenants) != 1:
        found = len(context.tenants)
        raise AccessDenied(471, f"X-Customer names {found} communities. A segment belongs to one: name one community.")
    return context.tenants[0]


def _author(context: ReportRequest) -> Author:
    return Author(context.principal.organization_id, context.principal.token_id)


async def _read(context: ReportRequest, tenant: Tenant, work: Callable[[Scope], Awaitable[T]]) -> T:
    async with context.app.database.read_transaction(tenant.community_id) as scope:
        return await work(scope)


async def _write(context: ReportRequest, tenant: Tenant, work: Callable[[Scope], Awaitable[T]]) -> T:
    async with context.app.database.write_transaction(tenant.community_id) as scope:
        result = await work(scope)
        await context.audit.insert(scope.connection)
    context.audit.is_written = True
    return result


async def _segment_json(scope: Scope, name: str) -> dict[str, Any]:
    stored = await definitions.fetch(scope)
    return {"segment": reads.as_json(stored, changes.require(stored, name))}


# Definitions --------------------------------------------------------------------------------------------------


def _list(context: ReportRequest) -> PricedQuery:
    counted = _counted_names(context)
    if counted:
        context.require_permit(MEMBERS_COUNT.permit)

    async def execute() -> object:
        found: list[dict[str, Any]] = []
        for tenant in context.tenants:
            stored = await _read(context, tenant, definitions.fetch)
            for each in stored.segments.values():
                shown = reads.as_json(stored, each)
                if each.name in counted:
                    shown["members_count"] = await _count_or_null(context, tenant, each.name)
                found.append(shown)
        return {"segments": found}

    return PricedQuery(costs.METADATA_COST + len(counted) * len(context.tenants) * MEMBERS_COUNT.cost, execute)


def _counted_names(context: ReportRequest) -> frozenset[str]:
    """The names of the segments whose members are counted too. Raises InvalidParametersError."""
    names = frozenset(name for each in context.query_params.get("count", "").split(",") if (name := each.strip()))
    if len(names) > _MAX_COUNTED:
        raise invalid_parameter(("count",), "too_many", f"Must name at most {_MAX_COUNTED} segments.", max=_MAX_COUNTED)
    return names


async def _count_or_null(context: ReportRequest, tenant: Tenant, name: str) -> int | None:
    """The number of members; None if it is suppressed, or if the segment can't be evaluated."""
    try:
        node = reads.reference(context.segments, tenant, name)
    except InvalidParametersError:
        return None
    number: int | None = (await reads.count(node, tenant, context.app.backends, context.now))["members_count"]
    return number


def _create(context: ReportRequest) -> PricedQuery:
    tenant = _tenant(context)
    new = changes.parse_input(context.body, ("name", "description", "filter"))
    context.audit.subject_ids = [str(new.name)]

    async def work(scope: Scope) -> object:
        segment = await changes.create(scope, new, _author(context), context.app.settings.max_segments)
        return await _segment_json(scope, segment.name)

    return PricedQuery(costs.METADATA_COST, lambda: _write(context, tenant, work))


def _show(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]
    return PricedQuery(costs.METADATA_COST, lambda: _read(context, tenant, lambda scope: _segment_json(scope, name)))


def _update(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]
    changed = changes.parse_input(context.body, ("name", "description", "filter"))

    async def work(scope: Scope) -> object:
        segment = await changes.update(scope, name, changed, _author(context))
        return await _segment_json(scope, segment.name)

    return PricedQuery(costs.METADATA_COST, lambda: _write(context, tenant, work))


def _delete(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]
    return PricedQuery(costs.METADATA_COST, lambda: _write(context, tenant, lambda scope: changes.delete(scope, name)))


def _versions(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]

    async def work(scope: Scope) -> object:
        segment = changes.require(await definitions.fetch(scope), name)
        return {"versions": [_version_json(each) for each in await changes.list_versions(scope, segment.id)]}

    return PricedQuery(costs.METADATA_COST, lambda: _read(context, tenant, work))


def _version_json(version: SegmentVersion) -> dict[str, Any]:
    return {
        name: format_timestamp(value) if isinstance(value, datetime) else value
        for name, value in asdict(version).items()
    }


# Members ------------------------------------------------------------------------------------------------------


def _reference(context: ReportRequest, tenant: Tenant, name: str, report: Report) -> SegmentReference:
    """The filter of a segment, for a caller who may query a report. Raises NotFoundError and AccessDenied."""
    found = reads.reference(context.segments, tenant, name)
    context.require_permit(report.permit)
    return found


def _count(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]
    node = _reference(context, tenant, name, MEMBERS_COUNT)
    if (at := _at(context)) is not None:
        return PricedQuery(
            MEMBERS_COUNT.cost,
            lambda: _read(context, tenant, lambda scope: reads.count_at(scope, name, tenant, at)),
        )
    return PricedQuery(
        MEMBERS_COUNT.cost + costs.filter_cost(node),
        lambda: reads.count(node, tenant, context.app.backends, context.now),
    )


def _count_history(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]
    _reference(context, tenant, name, MEMBERS_COUNT)
    start, end = _instant(context.query_params, "from"), _instant(context.query_params, "to") or context.now
    text = context.query_params.get("points", "25")
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 2 <= int(text) <= _MAX_POINTS):
        raise invalid_parameter(("points",), "invalid", f"Must be an integer from 2 to {_MAX_POINTS}.")
    if start is None or start >= end or end > context.now:
        raise invalid_parameter(
            ("from",), "invalid", "Must be a time in ISO 8601 before `to`, which is not in the future."
        )
    steps = int(text) - 1
    instants = [start + (end - start) * n / steps for n in range(steps + 1)]
    return PricedQuery(
        MEMBERS_COUNT.cost,
        lambda: _read(context, tenant, lambda scope: reads.counts_at(scope, name, tenant, instants)),
    )


def _members(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]
    node = _reference(context, tenant, name, MEMBERS)
    page = _page(context.query_params)
    if (at := _at(context)) is not None:

        async def work(scope: Scope) -> object:
            return await reads.members_at(scope, name, at, page, await context.app.backends.cursor_key())

        return PricedQuery(MEMBERS.cost, lambda: _read(context, tenant, work))
    return PricedQuery(
        MEMBERS.cost + costs.filter_cost(node),
        lambda: reads.members(node, tenant, context.app.backends, context.now, page),
    )


def _overlap(context: ReportRequest) -> PricedQuery:
    tenant = _tenant(context)
    first, second = (_reference(context, tenant, context.path_params[key], MEMBERS_COUNT) for key in ("name", "other"))
    return PricedQuery(
        3 * MEMBERS_COUNT.cost + costs.filter_cost(first) + costs.filter_cost(second),
        lambda: reads.overlap(first, second, tenant, context.app.backends, context.now),
    )


def _explain(context: ReportRequest) -> PricedQuery:
    tenant, name = _tenant(context), context.path_params["name"]
    node = _reference(context, tenant, name, MEMBERS)
    subject = _subject(context.query_params)

    async def work(scope: Scope) -> object:
        stored = await definitions.fetch(scope)
        profile_id = subject if isinstance(subject, UUID) else await explain.find_profile(scope, subject)
        currency = Currency(tenant.timezone, tenant.minor_digits)
        return await explain.explain(scope, stored, changes.require(stored, name), profile_id, currency)

    return PricedQuery(MEMBERS.cost + costs.filter_cost(node), lambda: _read(context, tenant, work))


def _subject(params: Mapping[str, str]) -> UUID | int:
    """The member that a request is about, by profile or number. Raises InvalidParametersError."""
    member, profile = params.get("member"), params.get("profile")
    if (member is None) == (profile is None):
        message = "Give one of them: the id of a member in reports, or the id of a profile."
        raise InvalidParametersError({(key,): [ParameterError("presence", message)] for key in ("member", "profile")})
    if member is not None:
        if not (member.isascii() and member.isdigit() and len(member) < 19):
            raise invalid_parameter(("member",), "not_an_integer", "Must be the id of a member, such as 17.")
        return int(member)
    try:
        return UUID(profile)
    except ValueError:
        raise invalid_parameter(("profile",), "invalid", "Must be the id of a profile, a UUID.") from None


def _at(context: ReportRequest) -> datetime | None:
    """The past instant that a request is about. Raises InvalidParametersError."""
    return _instant(context.query_params, "at")


def _instant(params: Mapping[str, str], name: str) -> datetime | None:
    """An instant in the query; None if it is absent. Raises InvalidParametersError."""
    text = params.get(name)
    if text is None:
        return None
    try:
        return timestamps.parse_timestamp(text)
    except ValueError:
        message = "Must be a time in ISO 8601, such as 2026-11-24T08:00:00Z, in the years 1900 to 2999."
        raise invalid_parameter((name,), "invalid_iso_8601_time", message) from None


def _page(params: Mapping[str, str]) -> SegmentPage:
    """The page of a request. Raises InvalidParametersError."""
    errors = ErrorCollector()
    text = params.get("limit")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        errors.add(("limit",), ParameterError("not_an_integer", "Must be an integer."))
        raise errors.to_exception()
    limit = request.parse_limit(None if text is None else int(text), errors)
    if errors.errors:
        raise errors.to_exception()
    return SegmentPage(params.get("page_info"), limit)


_PATH = "/v1/reporting/segments"
_ONE = f"{_PATH}/{{name}}"
_MAX_COUNTED = 50
_MAX_POINTS = 200
_COUNTED = {
    "count": f"Names of segments, separated by commas, whose `members_count` is added; at most {_MAX_COUNTED}. Each costs "
    "as much as a count."
}
_AT = {"at": "A past instant, ISO 8601; by default now."}
_PAGING = {
    "limit": f"Records per page, 1 to {request.MAX_LIMIT}; by default {request.DEFAULT_LIMIT}.",
    "page_info": "The `next_page_info` of the previous page.",
}


def _endpoint(method: str, path: str, summary: str, handler: Any, schema: Any, **more: Any) -> Endpoint:
    permit = permits.SEGMENT_READ if method == "GET" else permits.SEGMENT_WRITE
    return Endpoint(
        method,
        path,
        summary,
        report_handler=handler,
        schema=schema,
        permit=permit,
        caller=Caller.REPORTING,
        tag=_TAG,
        **{"audit": audit_rules.NOTHING, **more},
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    _endpoint("GET", _PATH, "List segments", _list, segment_schemas.LIST, query_params=_COUNTED),
    _endpoint(
        "POST", _PATH, "Create a segment", _create, segment_schemas.CREATE, status=201, audit=audit_rules.CREATE_SEGMENT
    ),
    _endpoint("GET", _ONE, "Get a segment", _show, segment_schemas.SHOW),
    _endpoint(
        "PUT",
        _ONE,
        "Change or rename a segment; absent fields are unchanged, and a new filter is a new version",
        _update,
        segment_schemas.UPDATE,
        audit=audit_rules.CHANGE_SEGMENT,
    ),
    _endpoint(
        "DELETE",
        _ONE,
        "Delete a segment",
        _delete,
        segment_schemas.DELETE,
        status=204,
        audit=audit_rules.CHANGE_SEGMENT,
    ),
    _endpoint("GET", f"{_ONE}/versions", "List the versions of a segment", _versions, segment_schemas.VERSIONS),
    _endpoint(
        "GET", f"{_ONE}/count", "Count the members of a segment", _count, segment_schemas.COUNT, query_params=_AT
    ),
    _endpoint(
        "GET",
        f"{_ONE}/count/history",
        "Count the members of a segment at past instants",
        _count_history,
        segment_schemas.COUNT_HISTORY,
        query_params={
            "from": "The first instant, ISO 8601.",
            "to": "The last instant, ISO 8601; by default now.",
            "points": f"The number of evenly spaced instants, 2 to {_MAX_POINTS}; by default 25.",
        },
    ),
    _endpoint(
        "GET",
        f"{_ONE}/members",
        "List the ids of a segment's members",
        _members,
        segment_schemas.MEMBERS,
        audit=audit_rules.READ_SEGMENT_MEMBERS,
        query_params={**_AT, **_PAGING},
    ),
    _endpoint(
        "GET",
        f"{_ONE}/explain",
        "Explain which conditions of a segment hold for a member",
        _explain,
        segment_schemas.EXPLAIN,
        audit=audit_rules.READ_SEGMENT_MEMBERS,
        query_params={"member": "The id of a member in reports.", "profile": "Or the id of a profile."},
    ),
    _endpoint(
        "GET",
        f"{_ONE}/overlap/{{other}}",
        "Count the members that two segments have in common, and those of only one",
        _overlap,
        segment_schemas.OVERLAP,
    ),
)
