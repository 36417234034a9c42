"""A fast path for the most frequent request: the current values of a profile."""

import time
from collections.abc import Iterable

from asyncpg.pgproto.pgproto import UUID
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars.api.profile import aggregations
from regulars.auth.authorization import authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.observability.exporter import MetricsExporter
from regulars.web.connections import ClientAddress
from regulars.web.context import AppContext
from regulars.web.edge import Header, is_host

_PATH_PREFIX = "/api/v3/profiles/"
_PATH_SUFFIX = "/aggregations"
_PREFIX_LENGTH = len(_PATH_PREFIX)
_PATH_LENGTH = _PREFIX_LENGTH + 36 + len(_PATH_SUFFIX)
_ACCESS = aggregations.READ_VALUES.access
_JSON = (b"content-type", b"application/json")

_UNUSUAL_HEADERS = frozenset((b"x-client-authorization", b"content-length", b"transfer-encoding"))
"""Headers of requests that are left to `app`."""

_MAX_CALLERS = 1_000


class AggregationsFastPath:
    """The outermost middleware: answers `GET /api/v3/profiles/{id}/aggregations` with a cached token.

    It answers only requests without anything unusual: in the path, the query, the headers, or a body. All other
    requests are passed to `app`, and so are those that the audit log records, those of denied callers and those about
    unknown profiles, so that errors are handled in one place. `security_headers` are added to each response;
    `active_clients` are those whose request is handled.
    """

    def __init__(
        self,
        app: ASGIApp,
        context: AppContext,
        exporter: MetricsExporter,
        security_headers: Iterable[Header],
        active_clients: set[ClientAddress],
    ) -> None:
        self._app = app
        self._context = context
        self._exporter = exporter
        self._security_headers = tuple(security_headers)
        self._active_clients = active_clients
        # The last principal of each Authorization header that may read any profile of its community.
        self._callers: dict[bytes, tuple[str, Principal]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) == _PATH_LENGTH:
            client: ClientAddress = tuple(scope.get("client") or ("", 0))
            self._active_clients.add(client)
            try:
                if await self._respond(scope, send):
                    return
            finally:
                self._active_clients.discard(client)
        await self._app(scope, receive, send)

    async def _respond(self, scope: Scope, send: Send) -> bool:
        path: str = scope["path"]
        if not (path.startswith(_PATH_PREFIX) and path.endswith(_PATH_SUFFIX)):
            return False
        context = self._context
        if scope["method"] != "GET" or scope["query_string"] or context.audits_all_tokens:
            return False
        raw_path = scope.get("raw_path")
        # A percent-encoded character makes the path that was sent longer than the decoded one.
        if raw_path is not None and len(raw_path) != _PATH_LENGTH:
            return False
        start = time.perf_counter()
        text = path[_PREFIX_LENGTH : _PREFIX_LENGTH + 36]
        principal = self._principal(scope["headers"], text)
        if principal is None or principal.community_id is None:
            return False
        try:
            # The driver's UUID type is parsed, hashed and compared in C.
            profile_id = principal.profile_id or UUID(text)
        except ValueError:
            return False
        limits, organization_id = context.general_rate_limits, principal.organization_id
        if organization_id is None or (charge := limits.try_charge(organization_id)) is None:
            return False
        try:
            body = await context.value_reader.read_body(principal.community_id, profile_id)
        except Exception:
            # Probably a system error: `app` repeats the read, logs the error and responds.
            body = None
        if body is None:
            limits.refund(organization_id)
            return False
        headers = [_JSON, (b"content-length", b"%d" % len(body)), *charge.raw_headers, *self._security_headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._exporter.observe_request("GET", aggregations.READ_VALUES.path, 200, time.perf_counter() - start)
        return True

    def _principal(self, headers: Iterable[Header], profile: str) -> Principal | None:
        """The principal of a cached token if it may read the profile and no header is unusual; otherwise None."""
        credential = host = None
        for name, value in headers:
            if name == b"authorization":
                if credential is not None:
                    return None
                credential = value
            elif name == b"host":
                if host is not None:
                    return None
                host = value
            elif name in _UNUSUAL_HEADERS:
                return None
        if credential is None or host is None or not is_host(host):
            return None
        caller = self._callers.get(credential)
        if caller is None:
            scheme, _, token = credential.partition(b" ")
            if scheme.lower() != b"bearer":
                return None
            secret, known = token.decode("latin-1"), None
        else:
            secret, known = caller
        principal = self._context.authenticator.cached_principal(secret)
        if principal is None or principal is known:
            return principal
        try:
            authorize(_ACCESS, principal, {_ACCESS.subject: profile})
        except AccessDenied:
            return None
        if not principal.is_profile_bound:
            if len(self._callers) >= _MAX_CALLERS:
                self._callers.clear()
            self._callers[credential] = (secret, principal)
        return principal
