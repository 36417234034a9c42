"""Deadlines for request bodies: a client that sends too slowly gets 408, and its connection is closed."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regulars.settings import Settings
from regulars.web.connections import ClientAddress
from regulars.web.errors import ApiError

CHECK_SECONDS = 0.1
"""How often it is checked which bodies are late. A timer for each body costs more than reading it."""


class BodyDeadlineMiddleware:
    """Middleware that requires bodies to arrive in time; `active_clients` are those whose complete
    request is handled.
    """

    def __init__(self, app: ASGIApp, settings: Settings, active_clients: set[ClientAddress]) -> None:
        self._app = app
        self._settings = settings
        self._active_clients = active_clients
        self._deadlines = _Deadlines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client: ClientAddress = tuple(scope.get("client") or ("", 0))
        if _has_body(scope):
            receive = _TimedBody(self._settings, receive, self._active_clients, client, self._deadlines).receive
        else:
            self._active_clients.add(client)
        try:
            await self._app(scope, receive, send)
        finally:
            self._active_clients.discard(client)


def _has_body(scope: Scope) -> bool:
    for name, value in scope["headers"]:  # noqa: SIM110 - a generator costs more than the loop
        if (name == b"content-length" and value != b"0") or name == b"transfer-encoding":
            return True
    return False


class _Deadlines:
    """Cancels tasks that wait for a body past its deadline."""

    def __init__(self) -> None:
        self._waiting: dict[_TimedBody, asyncio.Task[object]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, body: "_TimedBody", task: "asyncio.Task[object]") -> None:
        """Watches a task that is about to wait for a body."""
        self._waiting[body] = task
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check)

    def stop(self, body: "_TimedBody") -> None:
        """Ends watching."""
        del self._waiting[body]

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for body, task in self._waiting.items():
            if not body.is_late and now >= body.deadline:
                body.is_late = True
                task.cancel()
        self._timer = loop.call_later(CHECK_SECONDS, self._check) if self._waiting else None


class _TimedBody:
    """Receives the body of one request within its deadline."""

    def __init__(
        self,
        settings: Settings,
        receive: Receive,
        active_clients: set[ClientAddress],
        client: ClientAddress,
        deadlines: _Deadlines,
    ) -> None:
        self._settings = settings
        self._receive = receive
        self._active_clients = active_clients
        self._client = client
        self._deadlines = deadlines
        self._started_at = asyncio.get_running_loop().time()
        self._arrived_at = self._started_at
        self._received_bytes = 0
        self._is_complete = False
        self.is_late = False
        """Whether the task that waits for it was cancelled."""

    async def receive(self) -> Message:
        """The next message of the body. Raises ApiError 408 after the deadline."""
        if self._is_complete:
            return await self._receive()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - requests are handled in tasks
        cancelling = task.cancelling()
        self._deadlines.start(self, task)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if self.is_late and task.uncancel() <= cancelling:
                raise self._late_error() from None
            raise
        finally:
            self._deadlines.stop(self)
        self._arrived_at = asyncio.get_running_loop().time()
        self._received_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._is_complete = True
            self._active_clients.add(self._client)
        return message

    @property
    def deadline(self) -> float:
        """When the next part of the body must have arrived, by the clock of the event loop."""
        allowed = self._settings.body_timeout_seconds
        granted_seconds = self._received_bytes / self._settings.min_bytes_per_second
        return min(self._started_at + granted_seconds, self._arrived_at) + allowed

    def _late_error(self) -> ApiError:
        return ApiError(
            408,
            f"The body arrives too slowly: {self._received_bytes} bytes in "
            f"{asyncio.get_running_loop().time() - self._started_at:.0f} s. Pauses of "
            f"{self._settings.body_timeout_seconds:g} s are allowed, and after these at least "
            f"{self._settings.min_bytes_per_second} bytes a second are required.",
            headers={"Connection": "close"},
        )
