"""One embedded server for the whole run, a community of its own for each test, and a clock that tests set."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from randomness import SEED
from regulars.access import tokens
from regulars.api.app import application
from regulars.api.server import Server
from regulars.facts import community as communities
from regulars.facts.community import Community, NewCommunity
from regulars.settings import Settings
from regulars.storage import retention
from regulars.storage.database import Database
from servers import Servers

START = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class SetClock:
    """A clock that stands still until it is set."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def step(self, **by: float) -> datetime:
        """Moves on, by the arguments of timedelta."""
        self.at += timedelta(**by)
        return self.at


@dataclass
class Club:
    """One community with everything a test needs to talk to it."""

    community: Community
    database: Database
    clock: SetClock
    server: Server
    http: httpx.AsyncClient
    token: str
    more: dict[str, Any] = field(default_factory=dict)


def pytest_report_header() -> str:
    """What it takes to draw the same again."""
    return f"REGULARS_SEED={SEED}"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of the run."""
    with Servers() as running:
        yield running


@pytest.fixture
def database_urls(servers: Servers, request: pytest.FixtureRequest) -> tuple[str, str]:
    """The owner's and the app's URL of a server that lasts for the run; see servers.on_both_servers."""
    return servers.urls(getattr(request, "param", "embedded"))


@pytest.fixture
def clock() -> SetClock:
    """The clock of the test's server."""
    return SetClock()


@pytest_asyncio.fixture
async def database(database_urls: tuple[str, str], clock: SetClock) -> AsyncIterator[Database]:
    """A pool of the app's role."""
    async with Database(database_urls[1], 4, clock) as opened:
        await retention.keep(opened, 7)
        yield opened


_numbers = itertools.count(1)


@pytest_asyncio.fixture
async def club(database: Database, clock: SetClock) -> AsyncIterator[Club]:
    """A fresh community in Norway, its token, and a client of the API."""
    new = NewCommunity(slug=f"club-{next(_numbers)}", name="Club", country="NO", timezone="UTC", currency="NOK")
    async for made in clubs(database, clock, new):
        yield made


@pytest_asyncio.fixture
async def other_club(database: Database, clock: SetClock) -> AsyncIterator[Club]:
    """Another community beside the club, in the same database."""
    new = NewCommunity(slug=f"club-{next(_numbers)}", name="Other", country="SE", timezone="UTC", currency="SEK")
    async for made in clubs(database, clock, new):
        yield made


async def clubs(database: Database, clock: SetClock, new: NewCommunity) -> AsyncIterator[Club]:
    """A community as given, with a client of the API."""
    async with database.unscoped() as connection:
        community = await communities.create(connection, new, clock())
        secret = await tokens.create(
            connection,
            tokens.NewToken(community.organization_id, "test", community_id=community.id),
            clock(),
        )
    server = Server(Settings(), database)
    transport = httpx.ASGITransport(app=application(server, jobs=False))
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
        yield Club(community, database, clock, server, http, secret)
    await server.finish()
