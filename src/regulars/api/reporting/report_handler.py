"""From a request of the Reporting API to its answer: who asks, about whom, what it costs, and what goes out."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response

from regulars.auth import rate_limits
from regulars.auth.authorization import authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.auth.rate_limits import BucketConfig, BucketKind, BucketOwner, Charge
from regulars.auth.tenants import Tenant, resolve_tenants, scope_of
from regulars.query import costs
from regulars.query.errors import InvalidParametersError
from regulars.query.parser.request import InvalidJsonError
from regulars.web import bodies
from regulars.web.bodies import encode
from regulars.web.context import AppContext, ReportRequest
from regulars.web.endpoint import Endpoint, PricedQuery
from regulars.web.errors import ApiError, log_failure, report_error_response
from regulars.web.fair_limiter import BusyError

_REFUSALS = (AccessDenied, ApiError, InvalidParametersError, InvalidJsonError)


async def respond(server: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint, whatever happens; the headers of the rate limit are with it once it is known whose."""
    try:
        principal = await server.authenticator.authenticate(endpoint.access, request.headers)
        if principal.organization_id is None:
            # No organization to charge for the denial.
            authorize(endpoint.access, principal, request.path_params)
        owner, call = await _call(server, endpoint, request, principal)
        charge = None
        if isinstance(call, ReportRequest) and len(call.body) > bodies.MAX_INLINE_BYTES:
            # Parsing takes long, so the request is charged before it.
            charge = await _charge(server, owner, costs.METADATA_COST)
        asked = await _asked(endpoint, call)
        if charge is None:
            charge = await _charge(server, owner, asked.cost)
        elif asked.cost != charge.cost:
            charge = await _recharged(server, owner, charge, asked.cost)
    except Exception as error:
        return _failed(endpoint, error)
    try:
        content = await _answered(server, owner, asked)
        response = Response(content, endpoint.status, media_type="application/json")
    except Exception as error:
        response = _failed(endpoint, error)
        if isinstance(error, InvalidParametersError | BusyError) and charge.cost > costs.METADATA_COST:
            charge = await _recharged(server, owner, charge, costs.METADATA_COST)
    response.headers.update(charge.headers)
    return response


def _failed(endpoint: Endpoint, error: Exception) -> Response:
    if not isinstance(error, (*_REFUSALS, BusyError)):
        log_failure(endpoint.method, endpoint.path, error)
    return report_error_response(error)


async def _call(
    server: AppContext, endpoint: Endpoint, request: Request, principal: Principal
) -> tuple[BucketOwner, ReportRequest | PricedQuery]:
    """The owner of the rate limit to charge, and the request; a refused request is charged and raises when it runs."""
    assert principal.organization_id is not None  # noqa: S101 - callers without one were denied
    owner = BucketOwner(principal.organization_id)
    try:
        authorize(endpoint.access, principal, request.path_params)
        customers = await _customers(server, request, principal)
        owner = rate_limits.bucket_owner(principal.organization_id, {each.customer_id for each in customers})
        bodies.require_json(request)
        body = await bodies.read_body(request, server.settings.max_report_request_bytes)
        bodies.require_value_limit(body)
        return owner, ReportRequest(server, principal, customers, request.path_params, body, server.database.clock())
    except _REFUSALS as refusal:
        return owner, PricedQuery(costs.METADATA_COST, _refusing(refusal))


async def _asked(endpoint: Endpoint, call: ReportRequest | PricedQuery) -> PricedQuery:
    """The parsed request; an invalid one raises when it runs."""
    assert endpoint.report_handler is not None, f"{endpoint.path} asks nothing"  # noqa: S101
    if isinstance(call, PricedQuery):
        return call
    try:
        if len(call.body) <= bodies.MAX_INLINE_BYTES:
            return endpoint.report_handler(call)
        return await call.app.worker_threads.run(endpoint.report_handler, call)
    except _REFUSALS as refusal:
        return PricedQuery(costs.METADATA_COST, _refusing(refusal))


async def _answered(server: AppContext, owner: BucketOwner, asked: PricedQuery) -> bytes:
    """The encoded answer, once its organization has a slot."""
    if not asked.is_large:
        async with server.report_limiter.slot(owner.organization_id):
            return encode(await asked.execute())
    async with (
        server.large_report_limiter.slot(owner.organization_id),
        server.report_limiter.slot(owner.organization_id),
    ):
        return await server.worker_threads.run(bodies.encode_in_chunks, await asked.execute())


def _refusing(refusal: Exception) -> Callable[[], Awaitable[NoReturn]]:
    async def refuse() -> NoReturn:
        raise refusal

    return refuse


async def _customers(server: AppContext, request: Request, principal: Principal) -> tuple[Tenant, ...]:
    headers = request.headers
    reached = scope_of(principal)
    async with server.database.unscoped_connection() as connection:
        return await resolve_tenants(
            connection, reached, headers.getlist("x-customer"), headers.getlist("x-loyalty-club-slug")
        )


async def _charge(server: AppContext, owner: BucketOwner, cost: int) -> Charge:
    usual = BucketConfig(server.settings.reporting_burst, server.settings.reporting_rate_per_second)
    async with server.database.unscoped_connection() as connection:
        return await rate_limits.charge(connection, owner, BucketKind.REPORTING, cost, server.database.clock(), usual)


async def _recharged(server: AppContext, owner: BucketOwner, charge: Charge, cost: int) -> Charge:
    """Changes a charge once the cost is known, such as for parameters that are invalid for these customers only: too
    many buckets in their time zone.
    """
    async with server.database.unscoped_connection() as connection:
        return await rate_limits.adjust_charge(connection, owner, BucketKind.REPORTING, charge, cost)
