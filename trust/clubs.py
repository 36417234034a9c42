"""Communities and tokens of a running server, created without the cost of starting a command for each."""

import asyncio
from dataclasses import dataclass

from regulars.auth import tokens
from regulars.clock import system_clock
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.storage.database import Database
from trust.server import RunningServer


@dataclass(frozen=True)
class Club:
    """A community, a token with full access to its Profile API, and one for all reports of its organization."""

    id: int
    organization_id: int
    slug: str
    token: str
    report_token: str


def create_club(server: RunningServer, slug: str = "club", organization: str = "") -> Club:
    """Creates a community in Norway, of an organization of that name, with its tokens."""
    return asyncio.run(_create(server.app_url, slug, organization))


async def _create(app_url: str, slug: str, organization: str) -> Club:
    now = system_clock()
    async with Database(app_url, 1) as database, database.unscoped_connection() as connection:
        new = NewCommunity(slug, slug.title(), "NO", "Europe/Oslo", "NOK", organization)
        made = await communities.create(connection, new, now)
        full = tokens.NewToken(made.organization_id, "trust", community_id=made.id)
        reports = tokens.NewToken(made.organization_id, "trust", permits=("Reporting:*",))
        return Club(
            made.id,
            made.organization_id,
            slug,
            await tokens.create(connection, full, now),
            await tokens.create(connection, reports, now),
        )
