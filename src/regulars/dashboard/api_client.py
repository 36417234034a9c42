"""The public APIs, called within the process as the person who has signed in.

A call passes the same router, authorization, rate limits and row-level security as a request of a program with a token of
the same permits. So a page shows nothing that a program can't request.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regulars.auth.principals import Principal, PrincipalKind
from regulars.auth.tenants import Tenant
from regulars.web.bodies import encode
from regulars.web.context import PRINCIPAL_SCOPE_KEY

TIMEOUT_SECONDS = 30.0
"""How long a page waits for an answer of the APIs."""

_ORGANIZATION_PREFIXES = ("/v1/reporting/", "/v1/admin/")
"""Paths of endpoints that are called for an organization; all others are called for one community."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)


class ApiCallError(Exception):
    """An error response of the APIs. `status` is 0 if there was no answer."""

    def __init__(self, status: int, body: Any, retry_after: int | None = None) -> None:
        self.status = status
        self.body = body if isinstance(body, dict) else {}
        self.message = str(self.body.get("error") or self.body.get("message") or "")
        self.details: Any = self.body.get("details") or self.body.get("errors") or {}
        self.retry_after = retry_after
        super().__init__(f"{status} {self.message}")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made, to show how a program would make it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: object
    status: int


class ApiClient:
    """Calls the APIs for one visit. Responses are decoded JSON, with decimals for numbers that are not integers.

    Raises ApiCallError for every response that is an error.
    """

    def __init__(
        self,
        app: ASGIApp,
        principal: Principal | None,
        clubs: Sequence[Tenant],
        *,
        address: str = "",
        idempotency_key: str = "",
    ) -> None:
        self._app = app
        self._principal = principal
        self._clubs = clubs
        self._address = address
        self._idempotency_key = idempotency_key
        self.calls: list[Call] = []

    async def get(self, path: str, **params: object) -> Any:
        """GET a path with query parameters; those that are None are left out."""
        return await self.request("GET", path, params)

    async def post(self, path: str, body: object) -> Any:
        """POST a JSON body."""
        return await self.request("POST", path, body=body)

    async def put(self, path: str, body: object) -> Any:
        """PUT a JSON body."""
        return await self.request("PUT", path, body=body)

    async def patch(self, path: str, body: object) -> Any:
        """PATCH with a JSON body."""
        return await self.request("PATCH", path, body=body)

    async def delete(self, path: str) -> Any:
        """DELETE a path."""
        return await self.request("DELETE", path)

    async def query(self, body: Mapping[str, object], *, wait_seconds: float | None = None) -> Any:
        """The result of a report for the selected clubs."""
        return await self.request("POST", "/v1/reporting/query", body=body, wait_seconds=wait_seconds)

    async def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, object] | None = None,
        *,
        body: object = None,
        wait_seconds: float | None = None,
    ) -> Any:
        """Makes a call and returns the decoded response; None if it has no body.

        Waits TIMEOUT_SECONDS, or `wait_seconds`, for the answer, and not for the end of a call that it cancels then.
        """
        raw = b"" if body is None else encode(body)
        scope = self._scope(method, path, params or {}, has_body=body is not None)
        collected = _Collected()
        call = asyncio.ensure_future(self._app(scope, _receiver(raw), collected.send))
        try:
            await asyncio.wait([call], timeout=TIMEOUT_SECONDS if wait_seconds is None else wait_seconds)
        finally:
            call.cancel()
        if not call.done():
            self.calls.append(_call(scope, body, 0))
            raise ApiCallError(0, {})
        await call
        self.calls.append(_call(scope, body, collected.status))
        content = _decode(collected.content)
        if collected.status >= 400:
            retry_after = collected.headers.get("retry-after", "")
            raise ApiCallError(collected.status, content, int(retry_after) if retry_after.isdigit() else None)
        return content

    async def forward(self, path: str, params: Mapping[str, str], request: Scope, receive: Receive, send: Send) -> None:
        """Sends the response of a GET on as it arrives, with the range that the client requests."""
        scope = self._scope("GET", path, params)
        scope["headers"] += [(name, value) for name, value in request["headers"] if name in (b"range", b"if-range")]
        await self._app(scope, receive, send)

    def _scope(self, method: str, path: str, params: Mapping[str, object], *, has_body: bool = False) -> Scope:
        headers = [(b"host", b"localhost")]
        principal = self._principal
        if path.startswith(_ORGANIZATION_PREFIXES):
            ids = "_".join(str(each) for each in sorted({club.customer_id for club in self._clubs}))
            if len(self._clubs) == 1:
                headers.append((b"x-loyalty-club-slug", self._clubs[0].slug.encode()))
            elif ids:
                headers.append((b"x-customer", f"id={ids}".encode()))
        elif principal is not None and principal.kind is PrincipalKind.ORGANIZATION and self._clubs:
            principal = _in_community(principal, self._clubs[0])
        if has_body:
            headers.append((b"content-type", b"application/json"))
        if method == "POST" and self._idempotency_key:
            # Each call of a form has a key of its own, the same when the form is sent twice.
            headers.append((b"idempotency-key", f"{self._idempotency_key}-{len(self.calls)}".encode()))
        query = urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "query_string": query.encode(),
            "scheme": "http",
            "headers": headers,
            "client": (self._address, 0),
            "server": ("localhost", 80),
            "state": {},
        }
        if principal is not None:
            scope[PRINCIPAL_SCOPE_KEY] = principal
        return scope


def _in_community(principal: Principal, club: Tenant) -> Principal:
    """The principal for endpoints of one community; `club` is one that the person has access to."""
    if principal.token_id is not None:
        # A token of the Reporting API has no access to the Profile API.
        return principal
    return replace(principal, kind=PrincipalKind.COMMUNITY, community_id=club.community_id)


@dataclass(slots=True)
class _Collected:
    status: int = 0
    content: bytes = b""
    headers: Mapping[str, str] = None  # type: ignore[assignment]

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            self.content += message.get("body", b"")


def _receiver(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def _decode(content: bytes) -> Any:
    try:
        return _decoder.decode(content) if content else None
    except msgspec.DecodeError:
        return content


def _call(scope: Scope, body: object, status: int) -> Call:
    names = ("x-loyalty-club-slug", "x-customer")
    headers = {name.decode(): value.decode() for name, value in scope["headers"] if name.decode() in names}
    query = scope["query_string"].decode()
    return Call(scope["method"], f"{scope['path']}?{query}" if query else scope["path"], headers, body, status)
