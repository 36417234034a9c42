"""A community with a token, an HTTP client and a manual clock for tests."""

import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from regulars.api.app import create_app
from regulars.auth import tokens
from regulars.model import community as communities
from regulars.model.community import Community, NewCommunity
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.context import AppContext

FOLDER = Path(tempfile.mkdtemp(prefix="regulars-test-"))
"""The data directory of the tests' servers."""

atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

START = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class ManualClock:
    """A clock that tests set."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> datetime:
        """Advances the clock by the arguments of timedelta."""
        self.at += timedelta(**by)
        return self.at


@dataclass
class Club:
    """A community with a server, a token and a client."""

    community: Community
    database: Database
    clock: ManualClock
    server: AppContext
    http: httpx.AsyncClient
    token: str
    more: dict[str, Any] = field(default_factory=dict)


async def create_club(database: Database, clock: ManualClock, new: NewCommunity) -> AsyncIterator[Club]:
    """Creates a community, by default of a new organization, and yields it with a client of the API."""
    new = replace(new, organization=new.organization or new.slug)
    async with database.unscoped_connection() as connection:
        community = await communities.create(connection, new, clock())
        secret = await tokens.create(
            connection,
            tokens.NewToken(community.organization_id, "test", community_id=community.id),
            clock(),
        )
    server = AppContext(Settings(data_dir=FOLDER), database)
    transport = httpx.ASGITransport(app=create_app(server, run_jobs=False))
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
        yield Club(community, database, clock, server, http, secret)
    await server.close()


Headers = list[tuple[bytes, bytes]]


async def send_raw(
    club: Club, method: str, target: bytes, headers: Headers | None = None, *coming: dict[str, Any]
) -> httpx.Response:
    """Sends a request with a raw path and raw headers, and a body in parts."""
    pieces = list(coming) or [{"type": "http.request"}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    raw_path, _, query = target.partition(b"?")
    token = (b"authorization", f"Bearer {club.token}".encode())
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(raw_path.decode("latin-1"), errors="replace"),
        "raw_path": raw_path,
        "root_path": "",
        "query_string": query,
        "scheme": "http",
        "headers": [(b"host", b"test"), token] if headers is None else headers,
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    await create_app(club.server, run_jobs=False)(scope, receive, send)
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])


async def send_truncated(club: Club, method: str, path: str, begun: bytes) -> httpx.Response:
    """Sends the start of a request and disconnects."""
    begins = {"type": "http.request", "body": begun, "more_body": True}
    return await send_raw(club, method, path.encode(), None, begins, {"type": "http.disconnect"})
