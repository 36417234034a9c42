"""The most frequent request of all, a profile's values now, answered without the general machinery."""

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

_BEFORE = "/api/v3/profiles/"
_AFTER = "/aggregations"
_LENGTH = len(_BEFORE) + 36 + len(_AFTER)
_ACCESS = aggregations.READ_VALUES.access
_JSON = (b"content-type", b"application/json")


class AggregationsFastPath:
    """Answers `GET /api/v3/profiles/{id}/aggregations` with a known token; everything else goes on to `app`.

    Every other case - another token, a caller who is denied, a query, an unknown profile - goes on to `app` as well, so
    that there is one place for errors.
    """

    def __init__(self, app: ASGIApp, server: AppContext, exporter: MetricsExporter) -> None:
        self._app = app
        self._server = server
        self._exporter = exporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or len(scope["path"]) != _LENGTH or not await self._answered(scope, send):
            await self._app(scope, receive, send)

    async def _answered(self, scope: Scope, send: Send) -> bool:
        path: str = scope["path"]
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)):
            return False
        if scope["method"] != "GET" or scope["query_string"]:
            return False
        began = time.perf_counter()
        profile = path[len(_BEFORE) : -len(_AFTER)]
        principal = self._caller(scope, profile)
        if principal is None or principal.community_id is None:
            return False
        try:
            # The driver's own kind of UUID: read, hashed and compared without running any Python.
            profile_id = principal.profile_id or UUID(profile)
        except ValueError:
            return False
        limits, organization_id = self._server.general_rate_limits, principal.organization_id
        if organization_id is None or (charge := limits.try_charge(organization_id)) is None:
            return False
        try:
            read = await self._server.value_reader.read(principal.community_id, profile_id)
        except Exception:
            # Probably a system error: `app` repeats the read, and logs and answers the error.
            read = None
        if read is None:
            limits.refund(organization_id)
            return False
        body = encode({"data": read.values()})
        # Reads that were answered by one statement are all encoded before the first of them is sent: the server's own
        # thread, woken by the first, then finds the others waiting and need not be woken for each.
        await asyncio.sleep(0)
        headers = [_JSON, (b"content-length", str(len(body)).encode()), *charge.raw_headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._exporter.observe_request("GET", aggregations.READ_VALUES.path, 200, time.perf_counter() - began)
        return True

    def _caller(self, scope: Scope, profile: str) -> Principal | None:
        """The caller, whose token was checked a moment ago and who may read the profile; else None."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, secret = value.partition(b" ")
                if scheme.lower() != b"bearer":
                    return None
                principal = self._server.authenticator.cached_principal(secret.decode("latin-1"))
                if principal is not None:
                    try:
                        authorize(_ACCESS, principal, {_ACCESS.subject: profile})
                    except AccessDenied:
                        return None
                return principal
        return None
