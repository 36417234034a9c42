"""From a request of the Reporting API to its answer: who asks, about whom, what it costs, and what goes out."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response

from regulars.access import rate_limits
from regulars.access.authorization import authorize
from regulars.access.customers import Customer, chosen, reach
from regulars.access.denied import Denied
from regulars.access.principals import Principal
from regulars.access.rate_limits import Charge, Kind, Limit, Owner
from regulars.api import bodies
from regulars.api.endpoint import Asked, Endpoint, ReportCall
from regulars.api.errors import ApiError, log_failure, report_response
from regulars.api.fair_limiter import BusyError
from regulars.api.server import Server, encoded
from regulars.query import costs
from regulars.query.problems import InvalidParametersError
from regulars.query.request import NotJsonError

_REFUSALS = (Denied, ApiError, InvalidParametersError, NotJsonError)


async def answer(server: Server, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint, whatever happens; the headers of the rate limit are with it once it is known whose."""
    try:
        principal = await server.authenticator.principal(endpoint.access, request.headers)
        if principal.organization_id is None:
            # No organization to charge for the denial.
            authorize(endpoint.access, principal, request.path_params)
        owner, call = await _call(server, endpoint, request, principal)
        charge = None
        if isinstance(call, ReportCall) and len(call.body) > bodies.MAX_INLINE_BYTES:
            # Parsing takes long, so the request is charged before it.
            charge = await _charge(server, owner, costs.METADATA)
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
        if isinstance(error, InvalidParametersError | BusyError) and charge.cost > costs.METADATA:
            charge = await _recharged(server, owner, charge, costs.METADATA)
    response.headers.update(charge.headers)
    return response


def _failed(endpoint: Endpoint, error: Exception) -> Response:
    if not isinstance(error, (*_REFUSALS, BusyError)):
        log_failure(endpoint.method, endpoint.path, error)
    return report_response(error)


async def _call(
    server: Server, endpoint: Endpoint, request: Request, principal: Principal
) -> tuple[Owner, ReportCall | Asked]:
    """The owner of the rate limit to charge, and the request; a refused request is charged and raises when it runs."""
    assert principal.organization_id is not None  # noqa: S101 - callers without one were denied
    owner = Owner(principal.organization_id)
    try:
        authorize(endpoint.access, principal, request.path_params)
        customers = await _customers(server, request, principal)
        owner = rate_limits.owner(principal.organization_id, {each.customer_id for each in customers})
        bodies.require_json(request)
        body = await bodies.read(request, server.settings.max_report_bytes)
        bodies.require_few_values(body)
        return owner, ReportCall(server, principal, customers, request.path_params, body, server.database.clock())
    except _REFUSALS as refusal:
        return owner, Asked(costs.METADATA, _refusing(refusal))


async def _asked(endpoint: Endpoint, call: ReportCall | Asked) -> Asked:
    """The parsed request; an invalid one raises when it runs."""
    assert endpoint.asks is not None, f"{endpoint.path} asks nothing"  # noqa: S101
    if isinstance(call, Asked):
        return call
    try:
        if len(call.body) <= bodies.MAX_INLINE_BYTES:
            return endpoint.asks(call)
        return await call.server.worker_threads.run(endpoint.asks, call)
    except _REFUSALS as refusal:
        return Asked(costs.METADATA, _refusing(refusal))


async def _answered(server: Server, owner: Owner, asked: Asked) -> bytes:
    """The encoded answer, once its organization has a slot."""
    if not asked.is_large:
        async with server.report_limiter.slot(owner.organization_id):
            return encoded(await asked.answer())
    async with (
        server.large_report_limiter.slot(owner.organization_id),
        server.report_limiter.slot(owner.organization_id),
    ):
        return await server.worker_threads.run(bodies.encoded_in_chunks, await asked.answer())


def _refusing(refusal: Exception) -> Callable[[], Awaitable[NoReturn]]:
    async def refuse() -> NoReturn:
        raise refusal

    return refuse


async def _customers(server: Server, request: Request, principal: Principal) -> tuple[Customer, ...]:
    headers = request.headers
    reached = reach(principal)
    async with server.database.unscoped() as connection:
        return await chosen(connection, reached, headers.getlist("x-customer"), headers.getlist("x-loyalty-club-slug"))


async def _charge(server: Server, owner: Owner, cost: int) -> Charge:
    usual = Limit(server.settings.reporting_capacity, server.settings.reporting_refill)
    async with server.database.unscoped() as connection:
        return await rate_limits.charge(connection, owner, Kind.REPORTING, cost, server.database.clock(), usual)


async def _recharged(server: Server, owner: Owner, charge: Charge, cost: int) -> Charge:
    """Changes a charge once the cost is known, such as for parameters that are invalid for these customers only: too
    many buckets in their time zone.
    """
    async with server.database.unscoped() as connection:
        return await rate_limits.recharge(connection, owner, Kind.REPORTING, charge, cost)
