"""Short forms of what tests of profiles do over and over."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from conftest import Club, SetClock, clubs
from regulars.facts.community import NewCommunity
from regulars.storage.database import Database

PROFILES = "/api/v3/profiles"


@pytest_asyncio.fixture
async def other_club(database: Database, clock: SetClock, club: Club) -> AsyncIterator[Club]:
    """A second club on the same server."""
    new = NewCommunity(
        slug=f"other-than-{club.community.slug}", name="Other", country="SE", timezone="UTC", currency="SEK"
    )
    async for each in clubs(database, clock, new):
        yield each


async def made(club: Club, **fields: Any) -> dict[str, Any]:
    """A profile that was made with these fields, as it was answered."""
    answer = await club.http.post(PROFILES, json=fields)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()["data"]
    return shown


async def shown(club: Club, profile_id: str) -> dict[str, Any]:
    """A profile as it is read."""
    answer = await club.http.get(f"{PROFILES}/{profile_id}")
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()["data"]
    return read


async def changed(club: Club, profile_id: str, **fields: Any) -> dict[str, Any]:
    """A profile after these fields of it were changed, as it was answered."""
    answer = await club.http.put(f"{PROFILES}/{profile_id}", json=fields)
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()["data"]
    return read


async def errors(club: Club, method: str, path: str, body: Any) -> dict[str, list[str]]:
    """The errors, by path, of a request that is refused."""
    answer = await club.http.request(method, f"{PROFILES}{path}", json=body)
    assert answer.status_code == 422, answer.text
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


async def location(club: Club, **fields: Any) -> int:
    """The id of a location that was made with these fields."""
    answer = await club.http.post("/api/v3/locations", json=fields)
    assert answer.status_code == 201, answer.text
    location_id: int = answer.json()["data"]["id"]
    return location_id


async def rows(club: Club, statement: str, *values: object) -> list[Any]:
    """What a statement reads of the club's tables; `$1` is the club."""
    async with club.database.reading(club.community.id) as scope:
        return await scope.fetch(statement, club.community.id, *values)


async def memberships(club: Club, profile_id: str) -> list[tuple[str, str, bool]]:
    """The ins and outs of a profile in their order: type, when, whether it counts."""
    found = await rows(
        club,
        """
        SELECT type, at, counted
        FROM memberships
        WHERE community_id = $1 AND profile_id = $2::text::uuid
        ORDER BY at, id
        """,
        profile_id,
    )
    return [(row["type"], f"{row['at']:%Y-%m-%d %H:%M}", row["counted"]) for row in found]
