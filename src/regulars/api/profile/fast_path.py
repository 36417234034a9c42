"""A fast path for the most frequent request: the current values of a profile."""

import asyncio
import time

from asyncpg.pgproto.pgproto import UUID
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars.api.profile import aggregations
from regulars.auth.authorization import authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import Principal
from regulars.observability.exporter import MetricsExporter
from regulars.web.bodies import encode
from regulars.web.context import AppContext

_PATH_PREFIX = "/api/v3/profiles/"
_PATH_SUFFIX = "/aggregations"
_PATH_LENGTH = len(_PATH_PREFIX) + 36 + len(_PATH_SUFFIX)
_ACCESS = aggregations.READ_VALUES.access
_JSON = (b"content-type", b"application/json")


class AggregationsFastPath:
    """Middleware that handles `GET /api/v3/profiles/{id}/aggregations` with a cached token.

    All other requests are passed to `app`: those that the audit log records, and those of denied callers or about
    unknown profiles, so that errors are handled in one place.
    """

    def __init__(self, app: ASGIApp, context: AppContext, exporter: MetricsExporter) -> None:
        self._app = app
        self._context = context
        self._exporter = exporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or len(scope["path"]) != _PATH_LENGTH or not await self._respond(scope, send):
            await self._app(scope, receive, send)

    async def _respond(self, scope: Scope, send: Send) -> bool:
        path: str = scope["path"]
        if not (path.startswith(_PATH_PREFIX) and path.endswith(_PATH_SUFFIX)):
            return False
        if scope["method"] != "GET" or scope["query_string"] or self._context.audits_all_tokens:
            return False
        start = time.perf_counter()
        profile = path[len(_PATH_PREFIX) : -len(_PATH_SUFFIX)]
        principal = self._authorized_principal(scope, profile)
        if principal is None or principal.community_id is None:
            return False
        try:
            # The driver's UUID type is parsed, hashed and compared in C.
            profile_id = principal.profile_id or UUID(profile)
        except ValueError:
            return False
        limits, organization_id = self._context.general_rate_limits, principal.organization_id
        if organization_id is None or (charge := limits.try_charge(organization_id)) is None:
            return False
        try:
            read = await self._context.value_reader.read(principal.community_id, profile_id)
        except Exception:
            # Probably a system error: `app` repeats the read, logs the error and responds.
            read = None
        if read is None:
            limits.refund(organization_id)
            return False
        body = encode({"data": read.values()})
        # Encode all reads of one statement before the first response is sent: the server's thread then wakes up once
        # for all of them instead of once for each.
        await asyncio.sleep(0)
        headers = [_JSON, (b"content-length", str(len(body)).encode()), *charge.raw_headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._exporter.observe_request("GET", aggregations.READ_VALUES.path, 200, time.perf_counter() - start)
        return True

    def _authorized_principal(self, scope: Scope, profile: str) -> Principal | None:
        """The principal of a cached token if it may read the profile; otherwise None."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, secret = value.partition(b" ")
                if scheme.lower() != b"bearer":
                    return None
                principal = self._context.authenticator.cached_principal(secret.decode("latin-1"))
                if principal is not None:
                    try:
                        authorize(_ACCESS, principal, {_ACCESS.subject: profile})
                    except AccessDenied:
                        return None
                return principal
        return None
