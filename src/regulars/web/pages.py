"""Pages that are not API endpoints: the public health page, and the operations pages."""

import base64
import binascii
import hmac
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from regulars.settings import Settings
from regulars.web import errors
from regulars.web.router import RequestHandler

OPERATIONS_LISTENER_HEADER = "x-regulars-operations"
"""Header by which the operations listener authenticates its requests, with a secret of this run."""

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="operations", charset="UTF-8", Bearer'}


class PageRouter:
    """Finds the page for a request, if the request may read it.

    With `operations_listen`, operations pages are available at that address only; with `operations_token`, they require
    the token.
    """

    def __init__(
        self,
        public: Mapping[str, RequestHandler],
        operations: Mapping[str, RequestHandler],
        settings: Settings,
        secret: str = "",
    ) -> None:
        self._public = public
        self._operations = operations
        self._requires_listener = bool(settings.operations_listen)
        self._token = settings.operations_token
        self._secret = secret

    def find(self, scope: Scope) -> RequestHandler | None:
        """The handler of a page; None if there is none for this request."""
        path: str = scope["path"]
        # A proxy that blocks a page matches its exact path, so no other spelling of the path may reach the page.
        if scope.get("raw_path", path.encode()) != path.encode():
            return None
        if path in self._public:
            return self._public[path]
        if path not in self._operations or (self._requires_listener and not self._is_from_listener(scope)):
            return None
        return self._operations[path] if not self._token or self._has_token(scope) else _unauthorized

    def _is_from_listener(self, scope: Scope) -> bool:
        sent = _header(scope, OPERATIONS_LISTENER_HEADER)
        return bool(self._secret) and hmac.compare_digest(sent, self._secret.encode())

    def _has_token(self, scope: Scope) -> bool:
        scheme, _, sent = _header(scope, "authorization").partition(b" ")
        if scheme.lower() == b"basic":
            sent = _password(sent)
        elif scheme.lower() != b"bearer":
            return False
        return hmac.compare_digest(sent.strip(), self._token.encode())


def _header(scope: Scope, name: str) -> bytes:
    return next((value for each, value in scope["headers"] if each == name.encode()), b"")


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


async def _unauthorized(request: Request) -> Response:
    message = "Send the operations_token of this server as Bearer token, or as the password of Basic authentication."
    return errors.path_error_response(request.url.path, message, 401, _CHALLENGE)
