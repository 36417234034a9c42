"""Handles a request of the Profile API: authenticate, charge, authorize, decode, run the handler, encode."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from regulars.auth.authorization import authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.core.errors import NotFoundError, ValidationError
from regulars.ingest import idempotency
from regulars.ingest.commit import commit
from regulars.ingest.row_errors import as_validation_error, log_database_error
from regulars.model.unit_of_work import UnitOfWork
from regulars.web import bodies, errors
from regulars.web.audit import RequestAudit
from regulars.web.context import AppContext, RequestContext
from regulars.web.endpoint import Endpoint, OrganizationHandler, WriteHandler
from regulars.web.errors import ApiError

CHARGE_SCOPE_KEY = "regulars.charge"
"""The key of the rate limit charge in the ASGI scope of a request."""

AUDIT_SCOPE_KEY = "regulars.audit"
"""The key of the audit in the ASGI scope of a request."""


async def respond(app: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The response to a request; errors become responses."""
    try:
        response = await _handle(app, endpoint, request)
    except (AccessDenied, ValidationError, NotFoundError, ApiError) as error:
        record_denial(app, request, error)
        response = errors.error_response(error)
    except Exception as error:
        errors.log_failure(endpoint.method, endpoint.path, error)
        response = errors.error_response(error)
    if (charge := request.scope.get(CHARGE_SCOPE_KEY)) is not None:
        response.raw_headers += charge.raw_headers
    return response


def start_audit(app: AppContext, endpoint: Endpoint, request: Request, principal: Principal) -> RequestAudit:
    """Starts the audit of a request, once its caller is known."""
    audit = RequestAudit(
        database=app.database,
        principal=principal,
        rule=endpoint.audit_rule,
        operation=f"{endpoint.method} {endpoint.path}",
        address=app.public_address.client_address(request.scope),
        path=request.path_params,
        includes_all_tokens=app.audits_all_tokens,
    )
    request.scope[AUDIT_SCOPE_KEY] = audit
    return audit


def record_denial(app: AppContext, request: Request, error: Exception) -> None:
    """Records a request whose known caller was denied access."""
    audit = request.scope.get(AUDIT_SCOPE_KEY)
    if isinstance(error, AccessDenied) and audit is not None:
        app.denials.record(audit, error)


async def run_write(context: RequestContext, status: int, handler: WriteHandler) -> Response:
    """Runs a handler in one database transaction; a repeated idempotency key gets the stored response.

    Raises what the handler raises, and ValidationError if the database refuses the values.
    """
    key = context.idempotency_key

    namespace = context.namespace

    async def handle(uow: UnitOfWork) -> object:
        value = await handler(context, uow)
        await context.audit.insert(uow.connection, value)
        return value

    async def work(uow: UnitOfWork) -> Response:
        uow.namespace = namespace
        return _response(status, await handle(uow))

    async def work_once(uow: UnitOfWork) -> Response:
        uow.namespace = namespace

        async def first_response() -> tuple[int, bytes]:
            return status, bodies.encode(await handle(uow))

        assert key is not None  # noqa: S101
        stored_status, content = await idempotency.run_once(uow, key, first_response, _subject(context))
        return Response(content, stored_status, media_type="application/json")

    try:
        return await commit(context.app.database, context.community_id, work if key is None else work_once)
    except asyncpg.PostgresError as error:
        invalid = as_validation_error(error)
        if invalid is None:
            raise
        log_database_error(error)
        raise invalid from None


async def _handle(app: AppContext, endpoint: Endpoint, request: Request) -> Response:
    principal = await app.authenticate(endpoint.access, request)
    await _charge(app, principal, request)
    audit = start_audit(app, endpoint, request, principal)
    path_params = checked_texts(request.path_params)
    authorize(endpoint.access, principal, path_params)
    if endpoint.request_model is not None:
        bodies.require_json(request)
    is_read = endpoint.has_body and endpoint.stream_handler is None
    raw = await bodies.read_body(request, app.settings.max_request_bytes) if is_read else b""
    context = RequestContext(
        app=app,
        principal=principal,
        community_id=principal.community_id or 0,
        path_params=path_params,
        query_params=checked_texts(request.query_params) if request.scope["query_string"] else {},
        body=raw if endpoint.request_model is None else await _decode(app, raw, endpoint.request_model),
        now=app.database.clock(),
        request=request,
        audit=audit,
    )
    if endpoint.stream_handler is not None:
        # Rows are stored in several commits, so the request is recorded before the first.
        await audit.write()
        return _response(endpoint.status, await endpoint.stream_handler(context, request))
    if key := request.headers.get("idempotency-key", "") if request.method == "POST" else "":
        context.idempotency_key = idempotency.hash_key(
            key, f"POST {request.url.path}".encode(), raw, _namespace(principal)
        )
    if endpoint.read_handler is not None:
        value = await endpoint.read_handler(context)
        await audit.write(value)
        return _response(endpoint.status, value)
    if endpoint.organization_handler is not None:
        return await _run_for_organization(context, endpoint.status, endpoint.organization_handler)
    assert endpoint.write_handler is not None, f"{endpoint.path} has no handler"  # noqa: S101
    return await run_write(context, endpoint.status, endpoint.write_handler)


async def _run_for_organization(context: RequestContext, status: int, handler: OrganizationHandler) -> Response:
    """Runs a handler in one transaction of the caller's organization, and records the request in it."""
    assert context.principal.organization_id is not None  # noqa: S101 - callers without one were denied
    async with context.app.database.organization_transaction(context.principal.organization_id) as connection:
        if key := context.request.headers.get("idempotency-key", ""):
            await context.audit.require_first(connection, key)
        value = await handler(context, connection)
        await context.audit.insert(connection, value)
    return _response(status, value)


async def _charge(app: AppContext, principal: Principal, request: Request) -> None:
    """Charges the general rate limit of the caller's organization. Raises AccessDenied 429 and 503."""
    organization_id = principal.organization_id
    if organization_id is None:
        if principal.community_id is None:
            # Without a credential there is no organization to charge, and the request will be denied.
            return
        organization_id = (await app.group_committer.community(principal.community_id)).organization_id
    limits = app.general_rate_limits
    request.scope[CHARGE_SCOPE_KEY] = limits.try_charge(organization_id) or await limits.charge(organization_id)


async def _decode(app: AppContext, body: bytes, model: Any) -> Any:
    """Decodes a body as `bodies.decode_body` does, a large one in a worker thread."""
    if len(body) <= bodies.MAX_INLINE_BYTES:
        return bodies.decode_body(body, model)
    bodies.require_value_limit(body, bodies.value_limit(model))
    return await app.worker_threads.run(bodies.decode_body, body, model)


def _namespace(principal: Principal) -> str:
    """The namespace of idempotency keys: the kind of caller, and the profile that the token is bound to, if any.

    It does not contain the token, so a retry with a rotated token gets the stored response.
    """
    kind = principal.kind.name.lower()
    return kind if principal.profile_id is None else f"{kind}:{principal.profile_id}"


def _subject(context: RequestContext) -> set[UUID]:
    """The profile in the token or the path: the response may show it even if the request does not change it."""
    if context.principal.profile_id is not None:
        return {context.principal.profile_id}
    try:
        return {UUID(context.path_params["id"])}
    except (KeyError, ValueError):
        return set()


def checked_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of a path or a query as texts. Raises ApiError, 422, for a NUL character."""
    texts = {}
    for name, value in values.items():
        text = str(value)
        if "\0" in text or "\0" in name:
            raise ApiError(422, f"{name} must not contain a NUL character.")
        texts[name] = text
    return texts


def _response(status: int, value: object) -> Response:
    if status == 204:
        return Response(status_code=204)
    if isinstance(value, Response):
        return value
    return Response(bodies.encode(value), status, media_type="application/json")
