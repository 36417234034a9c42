"""What tests of the Reporting API share: clubs of an organization with members, tokens, and a client."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from clubs import SetClock
from query.declared import KINDS_COUNT, REGISTRY
from query.happenings import HISTORY
from regulars.access import tokens
from regulars.access.organizations import change
from regulars.access.tokens import NewToken
from regulars.api.app import application
from regulars.api.server import Server
from regulars.facts import community as communities
from regulars.facts.community import Community, NewCommunity
from regulars.reports.report import Source, Store
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.towns.atlas import Atlas

QUERY = "/v1/reporting/query"
EVERYTHING = ("Reporting:*",)

BROKEN = replace(KINDS_COUNT, name="broken", source=Source(Store.TABLES, "SELECT 1 WHERE 1 / 0 = 1"))
"""A report that can't be answered."""

REPORTS = {**REGISTRY, BROKEN.name: BROKEN, HISTORY.name: HISTORY}

_numbers = itertools.count(1)


@dataclass
class Reporting:
    """Two clubs of an organization and one of another, each with a row, and a server with the tests' own reports."""

    database: Database
    clock: SetClock
    organization: str
    clubs: tuple[Community, Community]
    foreign: Community
    http: httpx.AsyncClient
    token: str = ""

    async def new_token(self, permits: Sequence[str] = EVERYTHING, of: Community | None = None, **more: Any) -> str:
        """A token of the organization, or of that of a club."""
        organization_id = (of or self.clubs[0]).organization_id
        async with self.database.unscoped() as connection:
            return await tokens.create(connection, NewToken(organization_id, "test", permits, **more), self.clock())

    async def ask(
        self,
        body: object = None,
        *,
        path: str = QUERY,
        token: str | None = None,
        customer: str | None = "all=all",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer to a body, about all customers where nothing else is said."""
        sent = {"X-Client-Authorization": self.token if token is None else token}
        if customer is not None:
            sent["X-Customer"] = customer
        content = body if isinstance(body, bytes) else None
        json = None if content is not None else (body or {"report": "kinds"})
        return await self.http.post(path, headers={**sent, **(headers or {})}, json=json, content=content)

    async def limit(self, **settings: int) -> None:
        """Sets limits of the organization."""
        async with self.database.unscoped() as connection:
            await change(connection, self.organization, settings)


@asynccontextmanager
async def reporting_on(
    database: Database, clock: SetClock, settings: Settings | None = None, atlas: Atlas | None = None
) -> AsyncIterator[Reporting]:
    """Fresh ones."""
    number = next(_numbers)

    async def made(name: str, organization: str) -> Community:
        new = NewCommunity(f"{name}-{number}", name, "NO", "Europe/Oslo", "NOK", organization, {"name": name})
        async with database.unscoped() as connection:
            return await communities.create(connection, new, clock())

    organization = f"Reporting {number}"
    first, second = await made("nord", organization), await made("syd", organization)
    foreign = await made("fremd", f"Foreign {number}")
    for place, each in enumerate((first, second, foreign), 1):
        await _row(database, each, {"id": place, "name": each.name, "size": "small", "points": place})
    server = Server(settings or Settings(), database, REPORTS)
    server.atlas = atlas or server.atlas
    transport = httpx.ASGITransport(app=application(server, jobs=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        found = Reporting(database, clock, organization, (first, second), foreign, http)
        found.token = await found.new_token()
        yield found
    await server.finish()


async def _row(database: Database, club: Community, row: Mapping[str, Any]) -> None:
    async with database.writing(club.id) as scope:
        await scope.execute(
            """
            INSERT INTO profiles (community_id, profile_id, properties, created_at, updated_at)
            VALUES ($1, gen_random_uuid(), $2, $3, $3)
            """,
            club.id,
            row,
            scope.now,
        )


def names(answer: httpx.Response) -> list[str]:
    """Whose rows an answer has: each club's row is called as the club."""
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["records"]]
