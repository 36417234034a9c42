"""The outermost middleware: rejects malformed requests and adds security headers to every response."""

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
    # Responses contain personal data, so they must not be cached.
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    # Without the HTTP server's name and version.
    (b"server", b"regulars"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Headers of every response, unless the handler sets them."""

HSTS_HEADER: Header = (b"strict-transport-security", b"max-age=31536000")
"""Added if clients use HTTPS."""


_CREDENTIALS = (b"authorization", b"x-client-authorization")


def security_headers(*, is_behind_tls: bool) -> tuple[Header, ...]:
    """The headers of every response."""
    return (*SECURITY_HEADERS, HSTS_HEADER) if is_behind_tls else SECURITY_HEADERS


class EdgeMiddleware:
    """Rejects requests that two servers may interpret differently, and adds headers to every response."""

    def __init__(self, app: ASGIApp, headers: Iterable[Header]) -> None:
        self._app = app
        self._headers = [*headers]
        self._names = {name for name, _ in self._headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                message["headers"] = self._with_security_headers(message["headers"])
            await send(message)

        rejection = _rejection(scope)
        if rejection is not None:
            await rejection(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _log.exception("request.failed", method=scope["method"])
            if is_started:
                raise
            await errors.path_error_response(scope["path"], errors.INTERNAL_ERROR_MESSAGE, 500)(
                scope, receive, send_with_headers
            )

    def _with_security_headers(self, headers: Iterable[Header]) -> list[Header]:
        present = list(headers)
        own = {name for name, _ in present if name in self._names}
        return present + ([each for each in self._headers if each[0] not in own] if own else self._headers)


def _rejection(scope: Scope) -> Response | None:
    """The response to a malformed request; None for others, whose decoded path is set in the scope."""
    hosts, credentials = [], []
    for name, value in scope["headers"]:
        if name == b"host":
            hosts.append(value)
        elif name in _CREDENTIALS:
            credentials.append(name)
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            message = "The Transfer-Encoding is not supported. Use chunked only, or a Content-Length."
            return errors.path_error_response(scope["path"], message, 501)
    if len(hosts) != 1 or not is_host(hosts[0]):
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
def is_host(value: bytes) -> bool:
    """Whether a Host header is a name or an address, with or without a port."""
    return is_valid_host(value.decode("latin-1"))
