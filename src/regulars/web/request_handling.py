"""Handles one request: authentication, rate limit, authorization, decoding, and one read or one commit."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from regulars.auth.authorization import authorize
from regulars.auth.principals import Principal
from regulars.ingest import idempotency
from regulars.ingest.commit import commit
from regulars.ingest.row_errors import as_validation_error, log_database_error
from regulars.model.unit_of_work import UnitOfWork
from regulars.web import bodies
from regulars.web.bodies import encode
from regulars.web.context import AppContext
from regulars.web.endpoint import Endpoint, RequestContext, WriteHandler, decode_body
from regulars.web.errors import ApiError

CHARGE_SCOPE_KEY = "regulars.charge"
"""Where a request's scope holds what it was charged."""


async def handle_request(app: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint. Raises what `errors.response` turns into an answer."""
    principal = await app.authenticator.authenticate(endpoint.access, request.headers)
    await _charge(app, principal, request)
    path = _texts(request.path_params)
    authorize(endpoint.access, principal, path)
    if endpoint.takes is not None:
        bodies.require_json(request)
    raw = await app.read_body(request) if endpoint.has_body and endpoint.streams is None else b""
    call = RequestContext(
        app=app,
        principal=principal,
        community_id=principal.community_id or 0,
        path_params=path,
        query_params=_texts(request.query_params) if request.scope["query_string"] else {},
        body=raw if endpoint.takes is None else await _decode_body(app, raw, endpoint.takes),
        now=app.database.clock(),
        request=request,
    )
    if endpoint.streams is not None:
        return _response(endpoint.status, await endpoint.streams(call, request))
    if key := request.headers.get("idempotency-key", "") if request.method == "POST" else "":
        call.idempotency_key = idempotency.hash_key(
            key, f"POST {request.url.path}".encode(), raw, _namespace(call.principal)
        )
    if endpoint.reads is not None:
        return _response(endpoint.status, await endpoint.reads(call))
    assert endpoint.writes is not None, f"{endpoint.path} neither reads nor writes"  # noqa: S101
    return await run_write(call, endpoint.status, endpoint.writes)


async def _charge(app: AppContext, principal: Principal, request: Request) -> None:
    """Charges a request to the general rate limit of the caller's organization. Raises Denied 429 and 503."""
    organization_id = principal.organization_id
    if organization_id is None:
        if principal.community_id is None:
            # No organization to charge: the request has no credential and will be denied.
            return
        organization_id = (await app.group_committer.community(principal.community_id)).organization_id
    limits = app.general_rate_limits
    request.scope[CHARGE_SCOPE_KEY] = limits.try_charge(organization_id) or await limits.charge(organization_id)


async def run_write(call: RequestContext, status: int, writes: WriteHandler) -> Response:
    """The answer of a handler that runs in one commit; the first one where the request is a repeated one.

    Raises what the handler raises, and Refused where the database can't keep what follows from it.
    """
    once = call.idempotency_key

    async def work(uow: UnitOfWork) -> Response:
        return _response(status, await writes(call, uow))

    async def work_once(uow: UnitOfWork) -> Response:
        async def first() -> tuple[int, bytes]:
            return status, encode(await writes(call, uow))

        assert once is not None  # noqa: S101
        kept, content = await idempotency.run_once(uow, once, first, _concerned(call))
        return Response(content, kept, media_type="application/json")

    try:
        return await commit(call.app.database, call.community_id, work if once is None else work_once)
    except asyncpg.PostgresError as error:
        refused = as_validation_error(error)
        if refused is None:
            raise
        log_database_error(error)
        raise refused from None


async def _decode_body(app: AppContext, body: bytes, shape: Any) -> Any:
    """A body as `endpoint.decoded` gives it, which raises; a large one in a worker thread."""
    if len(body) <= bodies.MAX_INLINE_BYTES:
        return decode_body(body, shape)
    bodies.require_value_limit(body, bodies.value_limit(shape))
    return await app.worker_threads.run(decode_body, body, shape)


def _namespace(principal: Principal) -> str:
    """The namespace of an idempotency key: the kind of caller, and the profile where the caller is bound to one.

    Not the token, so that a retry with a token that was rotated meanwhile gets the first response.
    """
    kind = principal.kind.name.lower()
    return kind if principal.profile_id is None else f"{kind}:{principal.profile_id}"


def _concerned(call: RequestContext) -> set[UUID]:
    """The profile that the path or the token names: a response may show it without a change of it."""
    if call.principal.profile_id is not None:
        return {call.principal.profile_id}
    try:
        return {UUID(call.path_params["id"])}
    except (KeyError, ValueError):
        return set()


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in values.items():
        text = str(value)
        if "\0" in text or "\0" in name:
            raise ApiError(422, f"{name} must not hold a NUL character.")
        found[name] = text
    return found


def _response(status: int, value: object) -> Response:
    if status == 204:
        return Response(status_code=204)
    if isinstance(value, Response):
        return value
    return Response(encode(value), status, media_type="application/json")
