"""Requests of people who have signed in, as the pages send them to the APIs within the process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from clubs import Club
from regulars.api.app import create_app
from regulars.auth.principals import Principal, PrincipalKind
from regulars.web.context import PRINCIPAL_SCOPE_KEY, AppContext

EVERYTHING = ("*",)


def person(club: Club, permits: Sequence[str] = EVERYTHING, **more: Any) -> Principal:
    """The principal of a person of the club's organization, for requests about the club."""
    declared: dict[str, Any] = {"user_id": 7, "user_name": "Ada", "community_id": club.community.id, **more}
    kind = PrincipalKind.ORGANIZATION if declared["community_id"] is None else PrincipalKind.COMMUNITY
    return Principal(kind, club.community.organization_id, permits=tuple(permits), **declared)


@asynccontextmanager
async def signed_in(
    club: Club, principal: Principal | None = None, server: AppContext | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose requests are those of a person."""
    app = create_app(server or club.server, run_jobs=False)
    caller = principal or person(club)

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, PRINCIPAL_SCOPE_KEY: caller}, receive, send)

    headers = {"X-Loyalty-Club-Slug": club.community.slug}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(call), base_url="http://test", headers=headers
    ) as client:
        yield client


def administrator(club: Club, permits: Sequence[str] = EVERYTHING, **more: Any) -> Principal:
    """The principal of a person for requests about the whole organization."""
    return person(club, permits, community_id=None, **more)
