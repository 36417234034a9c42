"""Handles a request of the Reporting API: authenticate, find the tenants, price, charge, execute, encode."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response

from regulars.auth import rate_limits
from regulars.auth.authorization import authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.auth.rate_limits import BucketConfig, BucketKind, BucketOwner, Charge
from regulars.auth.tenants import ALL_CUSTOMERS, Tenant, resolve_tenants, scope_of
from regulars.core.errors import NotFoundError
from regulars.query import costs
from regulars.query.errors import InvalidParametersError
from regulars.query.parser.request import InvalidJsonError
from regulars.segments import definitions
from regulars.web import bodies
from regulars.web.audit import RequestAudit
from regulars.web.bodies import encode
from regulars.web.context import AppContext, ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery
from regulars.web.errors import ApiError, log_failure, report_error_response
from regulars.web.fair_limiter import BusyError
from regulars.web.request_handler import AUDIT_SCOPE_KEY, checked_texts, record_denial, start_audit

_CLIENT_ERRORS = (AccessDenied, ApiError, NotFoundError, InvalidParametersError, InvalidJsonError)


async def respond(app: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The response to a request, with rate limit headers once the organization is known; errors become responses."""
    try:
        principal = await app.authenticate(endpoint.access, request)
        start_audit(app, endpoint, request, principal)
        if principal.organization_id is None:
            # There is no organization to charge for the denied request.
            authorize(endpoint.access, principal, request.path_params)
        owner, context = await _authorize(app, endpoint, request, principal)
        audit = context.audit if isinstance(context, ReportRequest) else None
        charge = None
        if isinstance(context, ReportRequest) and len(context.body) > bodies.MAX_INLINE_BYTES:
            # Parsing a large body takes long, so the request is charged before.
            charge = await _charge(app, owner, costs.METADATA_COST)
        query = await _parse(endpoint, context)
        if charge is None:
            charge = await _charge(app, owner, query.cost)
        elif query.cost != charge.cost:
            charge = await _adjust_charge(app, owner, charge, query.cost)
    except Exception as error:
        record_denial(app, request, error)
        return _error_response(endpoint, error)
    try:
        content = await _execute(app, owner, query)
        if audit is not None:
            await audit.write()
        response = _response(endpoint, content)
    except Exception as error:
        record_denial(app, request, error)
        response = _error_response(endpoint, error)
        if isinstance(error, InvalidParametersError | BusyError) and charge.cost > costs.METADATA_COST:
            charge = await _adjust_charge(app, owner, charge, costs.METADATA_COST)
    response.headers.update(charge.headers)
    return response


def _error_response(endpoint: Endpoint, error: Exception) -> Response:
    if not isinstance(error, (*_CLIENT_ERRORS, BusyError)):
        log_failure(endpoint.method, endpoint.path, error)
    return report_error_response(error)


async def _authorize(
    app: AppContext, endpoint: Endpoint, request: Request, principal: Principal
) -> tuple[BucketOwner, ReportRequest | PricedQuery]:
    """The rate limit bucket to charge, and the request.

    A rejected request is charged, and raises when it is executed.
    """
    assert principal.organization_id is not None  # noqa: S101 - callers without an organization were denied
    owner = BucketOwner(principal.organization_id)
    try:
        authorize(endpoint.access, principal, request.path_params)
        tenants = await _resolve_tenants(app, endpoint, request, principal)
        owner = rate_limits.bucket_owner(principal.organization_id, {each.customer_id for each in tenants})
        bodies.require_json(request)
        body = await bodies.read_body(request, app.settings.max_report_request_bytes)
        bodies.require_value_limit(body)
        path_params = checked_texts(request.path_params)
        query_params = checked_texts(request.query_params) if request.scope["query_string"] else {}
        segments = await definitions.filters_of(app.database, tenants)
        audit: RequestAudit = request.scope[AUDIT_SCOPE_KEY]
        audit.community_ids = [each.community_id for each in tenants]
        return owner, ReportRequest(
            app, principal, tenants, path_params, body, app.database.clock(), query_params, segments, request, audit
        )
    except _CLIENT_ERRORS as error:
        return owner, PricedQuery(costs.METADATA_COST, _raising(error))


async def _parse(endpoint: Endpoint, context: ReportRequest | PricedQuery) -> PricedQuery:
    """The parsed request. An invalid one raises when it is executed."""
    assert endpoint.report_handler is not None, f"{endpoint.path} has no report handler"  # noqa: S101
    if isinstance(context, PricedQuery):
        return context
    try:
        if len(context.body) <= bodies.MAX_INLINE_BYTES:
            return endpoint.report_handler(context)
        return await context.app.worker_threads.run(endpoint.report_handler, context)
    except _CLIENT_ERRORS as error:
        return PricedQuery(costs.METADATA_COST, _raising(error))


def _response(endpoint: Endpoint, content: bytes | Response) -> Response:
    if isinstance(content, Response):
        return content
    if endpoint.status == HTTPStatus.NO_CONTENT:
        return Response(status_code=endpoint.status)
    return Response(content, endpoint.status, media_type="application/json")


async def _execute(app: AppContext, owner: BucketOwner, query: PricedQuery) -> bytes | Response:
    """Executes a query when the organization gets a slot, and encodes the response unless it is a file."""
    if not query.is_large:
        async with app.report_limiter.slot(owner.organization_id):
            result = await query.execute()
            return result if isinstance(result, Response) else encode(result)
    async with (
        app.large_report_limiter.slot(owner.organization_id),
        app.report_limiter.slot(owner.organization_id),
    ):
        return await app.worker_threads.run(bodies.encode_in_chunks, await query.execute())


def _raising(error: Exception) -> Callable[[], Awaitable[NoReturn]]:
    async def execute() -> NoReturn:
        raise error

    return execute


async def _resolve_tenants(
    app: AppContext, endpoint: Endpoint, request: Request, principal: Principal
) -> tuple[Tenant, ...]:
    scope = scope_of(principal)
    customers, slugs = request.headers.getlist("x-customer"), request.headers.getlist("x-loyalty-club-slug")
    if not endpoint.needs_customer and not customers and not slugs:
        customers = [ALL_CUSTOMERS]
    async with app.database.unscoped_connection() as connection:
        return await resolve_tenants(connection, scope, customers, slugs)


async def _charge(app: AppContext, owner: BucketOwner, cost: int) -> Charge:
    default_config = BucketConfig(app.settings.reporting_burst, app.settings.reporting_rate_per_second)
    async with app.database.unscoped_connection() as connection:
        return await rate_limits.charge(
            connection, owner, BucketKind.REPORTING, cost, app.database.clock(), default_config
        )


async def _adjust_charge(app: AppContext, owner: BucketOwner, charge: Charge, cost: int) -> Charge:
    """Adjusts a charge to the actual cost, for example if the parameters prove invalid for the time zone of the
    tenants.
    """
    async with app.database.unscoped_connection() as connection:
        return await rate_limits.adjust_charge(connection, owner, BucketKind.REPORTING, charge, cost)
