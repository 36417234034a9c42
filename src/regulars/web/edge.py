"""The outermost middleware: malformed requests are refused, and every response gets security headers."""

from collections.abc import Iterable
from functools import lru_cache

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regulars.web import errors, request_path
from regulars.web.public_address import is_valid_host
from regulars.web.request_path import MalformedPathError

_log = structlog.get_logger("regulars.api")

Header = tuple[bytes, bytes]

SECURITY_HEADERS: tuple[Header, ...] = (
    # Answers hold members' data: no cache may keep them.
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    # Without the HTTP server's name and version.
    (b"server", b"regulars"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Headers of every response that does not set them itself."""

HSTS_HEADER: Header = (b"strict-transport-security", b"max-age=31536000")
"""Added where clients call over HTTPS."""


_CREDENTIALS = (b"authorization", b"x-client-authorization")


class EdgeMiddleware:
    """Refuses requests that two servers may interpret differently, and adds security headers to every response."""

    def __init__(self, app: ASGIApp, *, is_behind_tls: bool) -> None:
        self._app = app
        self._headers = [*SECURITY_HEADERS, HSTS_HEADER] if is_behind_tls else [*SECURITY_HEADERS]
        self._names = {name for name, _ in self._headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def sending(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                message["headers"] = self._with_ours(message["headers"])
            await send(message)

        refusal = _refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, sending)
            return
        try:
            await self._app(scope, receive, sending)
        except Exception:
            _log.exception("request.failed", method=scope["method"])
            if is_begun:
                raise
            await errors.path_error_response(scope["path"], errors.INTERNAL_ERROR_MESSAGE, 500)(scope, receive, sending)

    def _with_ours(self, headers: Iterable[Header]) -> list[Header]:
        there = list(headers)
        own = {name for name, _ in there if name in self._names}
        return there + ([each for each in self._headers if each[0] not in own] if own else self._headers)


def _refusal(scope: Scope) -> Response | None:
    """The response to a malformed request; None for others, whose decoded path is set in the scope."""
    hosts, credentials = [], []
    for name, value in scope["headers"]:
        if name == b"host":
            hosts.append(value)
        elif name in _CREDENTIALS:
            credentials.append(name)
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            message = "The Transfer-Encoding is not supported: send chunked alone, or a Content-Length."
            return errors.path_error_response(scope["path"], message, 501)
    if len(hosts) != 1 or not _is_host(hosts[0]):
        message = "The request must have exactly one Host header, a name or an address with or without a port."
        return errors.path_error_response(scope["path"], message, 400)
    if len(credentials) > 1 and len(credentials) > len(set(credentials)):
        message = "The request must have at most one Authorization and one X-Client-Authorization header."
        return errors.path_error_response(scope["path"], message, 400)
    raw = scope.get("raw_path")
    if raw is not None and not request_path.is_plain(raw):
        try:
            parts = request_path.split_segments(raw)
        except MalformedPathError as error:
            return errors.path_error_response(scope["path"], str(error), 400)
        scope["path_segments"], scope["path"] = parts, request_path.join_segments(parts)
    return None


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    return is_valid_host(value.decode("latin-1"))
