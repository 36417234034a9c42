"""Deadlines for request bodies: a client that sends too slowly gets 408, and its connection is closed."""

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regulars.settings import Settings
from regulars.web.connections import ClientAddress
from regulars.web.errors import ApiError

_BODY_HEADERS = (b"content-length", b"transfer-encoding")


class BodyDeadlineMiddleware:
    """Middleware that requires bodies to arrive in time; `active_clients` are those whose complete
    request is handled.
    """

    def __init__(self, app: ASGIApp, settings: Settings, active_clients: set[ClientAddress]) -> None:
        self._app = app
        self._settings = settings
        self._active_clients = active_clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client: ClientAddress = tuple(scope.get("client") or ("", 0))
        if _has_body(scope):
            receive = _TimedBody(self._settings, receive, self._active_clients, client).receive
        else:
            self._active_clients.add(client)
        try:
            await self._app(scope, receive, send)
        finally:
            self._active_clients.discard(client)


def _has_body(scope: Mapping[str, object]) -> bool:
    headers = scope["headers"]
    return any(name in _BODY_HEADERS and value != b"0" for name, value in headers)  # type: ignore[attr-defined]


class _TimedBody:
    """Receives the body of one request within its deadline."""

    def __init__(
        self, settings: Settings, receive: Receive, active_clients: set[ClientAddress], client: ClientAddress
    ) -> None:
        self._settings = settings
        self._receive = receive
        self._active_clients = active_clients
        self._client = client
        self._started_at = asyncio.get_running_loop().time()
        self._arrived_at = self._started_at
        self._received_bytes = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """The next message of the body. Raises ApiError 408 after the deadline."""
        if self._is_complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline()):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(
                408,
                f"The body arrives too slowly: {self._received_bytes} bytes in "
                f"{asyncio.get_running_loop().time() - self._started_at:.0f} s. Pauses of "
                f"{self._settings.body_timeout_seconds:g} s are allowed, and after these at least "
                f"{self._settings.min_bytes_per_second} bytes a second are required.",
                headers={"Connection": "close"},
            ) from None
        self._arrived_at = asyncio.get_running_loop().time()
        self._received_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._is_complete = True
            self._active_clients.add(self._client)
        return message

    def _deadline(self) -> float:
        allowed = self._settings.body_timeout_seconds
        granted_seconds = self._received_bytes / self._settings.min_bytes_per_second
        return min(self._started_at + granted_seconds, self._arrived_at) + allowed
