"""A client of the Reporting API, with clubs, members and tokens."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from clubs import ManualClock
from query.event_reports import HISTORY
from query.sample_reports import REGISTRY, SAMPLES_COUNT
from regulars.api.app import create_app
from regulars.auth import tokens
from regulars.auth.organizations import update
from regulars.auth.tokens import NewToken
from regulars.geo.towns.files import TownFiles
from regulars.model import community as communities
from regulars.model.community import Community, NewCommunity
from regulars.reports.report import Backend, RowSource
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.context import AppContext

QUERY = "/v1/reporting/query"
EVERYTHING = ("Reporting:*",)

FAILING_REPORT = replace(SAMPLES_COUNT, name="broken", source=RowSource(Backend.POSTGRES, "SELECT 1 WHERE 1 / 0 = 1"))
"""A report whose query fails."""

REPORTS = {**REGISTRY, FAILING_REPORT.name: FAILING_REPORT, HISTORY.name: HISTORY}

_numbers = itertools.count(1)


@dataclass
class ReportingClient:
    """Two clubs of one organization and one of another, each with a row, and a server with sample reports."""

    database: Database
    clock: ManualClock
    organization: str
    clubs: tuple[Community, Community]
    other_club: Community
    http: httpx.AsyncClient
    token: str = ""

    async def new_token(self, permits: Sequence[str] = EVERYTHING, of: Community | None = None, **more: Any) -> str:
        """Creates a token of the organization, or of the organization of a club."""
        organization_id = (of or self.clubs[0]).organization_id
        async with self.database.unscoped_connection() as connection:
            return await tokens.create(connection, NewToken(organization_id, "test", permits, **more), self.clock())

    async def query(
        self,
        body: object = None,
        *,
        path: str = QUERY,
        token: str | None = None,
        customer: str | None = "all=all",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The response to a request, about all customers by default."""
        sent = {"X-Client-Authorization": self.token if token is None else token}
        if customer is not None:
            sent["X-Customer"] = customer
        content = body if isinstance(body, bytes) else None
        json = None if content is not None else (body or {"report": "samples"})
        return await self.http.post(path, headers={**sent, **(headers or {})}, json=json, content=content)

    async def set_limits(self, **settings: int) -> None:
        """Sets the rate limits of the organization."""
        async with self.database.unscoped_connection() as connection:
            await update(connection, self.organization, settings)


@asynccontextmanager
async def reporting_client(
    database: Database, clock: ManualClock, settings: Settings | None = None, atlas: TownFiles | None = None
) -> AsyncIterator[ReportingClient]:
    """Creates the clubs and the server."""
    number = next(_numbers)

    async def created(name: str, organization: str) -> Community:
        new = NewCommunity(f"{name}-{number}", name, "NO", "Europe/Oslo", "NOK", organization, {"name": name})
        async with database.unscoped_connection() as connection:
            return await communities.create(connection, new, clock())

    organization = f"Reporting {number}"
    first, second = await created("nord", organization), await created("syd", organization)
    foreign = await created("fremd", f"Foreign {number}")
    for place, each in enumerate((first, second, foreign), 1):
        await _row(database, each, {"id": place, "name": each.name, "size": "small", "points": place})
    server = AppContext(settings or Settings(), database, REPORTS)
    server.town_files = atlas or server.town_files
    transport = httpx.ASGITransport(app=create_app(server, run_jobs=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        found = ReportingClient(database, clock, organization, (first, second), foreign, http)
        found.token = await found.new_token()
        yield found
    await server.close()


async def _row(database: Database, club: Community, row: Mapping[str, Any]) -> None:
    async with database.write_transaction(club.id) as scope:
        await scope.execute(
            """
            INSERT INTO profiles (community_id, profile_id, properties, created_at, updated_at)
            VALUES ($1, gen_random_uuid(), $2, $3, $3)
            """,
            club.id,
            row,
            scope.now,
        )


def record_names(answer: httpx.Response) -> list[str]:
    """The names of the rows of a response, which are those of their clubs."""
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["records"]]
