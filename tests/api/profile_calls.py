"""Calls of the profiles API, and reads of the tables, for tests."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest_asyncio

from clubs import Club, ManualClock, create_club
from regulars.auth import tokens
from regulars.model.community import NewCommunity
from regulars.storage.database import Database

PROFILES_URL = "/api/v3/profiles"


@pytest_asyncio.fixture
async def other_club(database: Database, clock: ManualClock, club: Club) -> AsyncIterator[Club]:
    """A second club on the same server."""
    new = NewCommunity(
        slug=f"other-than-{club.community.slug}", name="Other", country="SE", timezone="UTC", currency="SEK"
    )
    async for each in create_club(database, clock, new):
        yield each


async def create_profile(club: Club, **fields: Any) -> dict[str, Any]:
    """Creates a profile and returns the response."""
    response = await club.http.post(PROFILES_URL, json=fields)
    assert response.status_code == 201, response.text
    shown: dict[str, Any] = response.json()["data"]
    return shown


async def get_profile(club: Club, profile_id: str) -> dict[str, Any]:
    """Returns a profile."""
    response = await club.http.get(f"{PROFILES_URL}/{profile_id}")
    assert response.status_code == 200, response.text
    read: dict[str, Any] = response.json()["data"]
    return read


async def update_profile(club: Club, profile_id: str, **fields: Any) -> dict[str, Any]:
    """Updates a profile and returns the response."""
    response = await club.http.put(f"{PROFILES_URL}/{profile_id}", json=fields)
    assert response.status_code == 200, response.text
    read: dict[str, Any] = response.json()["data"]
    return read


async def get_errors(club: Club, method: str, path: str, body: Any) -> dict[str, list[str]]:
    """The errors of a rejected request by path."""
    response = await club.http.request(method, f"{PROFILES_URL}{path}", json=body)
    assert response.status_code == 422, response.text
    found: dict[str, list[str]] = response.json()["errors"]
    return found


async def create_location(club: Club, **fields: Any) -> int:
    """Creates a location and returns its id."""
    response = await club.http.post("/api/v3/locations", json=fields)
    assert response.status_code == 201, response.text
    location_id: int = response.json()["data"]["id"]
    return location_id


async def fetch_rows(club: Club, statement: str, *values: object) -> list[Any]:
    """Runs a query in the club's community, whose id is `$1`."""
    async with club.database.read_transaction(club.community.id) as scope:
        return await scope.fetch(statement, club.community.id, *values)


async def list_memberships(club: Club, profile_id: str) -> list[tuple[str, str, bool]]:
    """The memberships of a profile in their order: type, time, and whether it is effective."""
    found = await fetch_rows(
        club,
        """
        SELECT type, occurred_at, is_effective
        FROM memberships
        WHERE community_id = $1 AND profile_id = $2::text::uuid
        ORDER BY occurred_at, id
        """,
        profile_id,
    )
    return [(row["type"], f"{row['occurred_at']:%Y-%m-%d %H:%M}", row["is_effective"]) for row in found]


async def insert_transaction(club: Club, profile_id: str, external_id: str, **columns: Any) -> None:
    """Inserts a transaction of a profile with one item and a claim."""
    values = {"total": Decimal(10), "amount": 1000, "direction": 1, "is_void": False, **columns}
    async with club.database.write_transaction(club.community.id) as scope:
        transaction_id = await scope.fetchval(
            f"""
            INSERT INTO transactions (
                community_id, id, external_id, profile_id, transacted_at, created_at, updated_at,
                {", ".join(values)}
            )
            SELECT $1, next_id(), $2, $3::text::uuid, $4, $4, $4,
                {", ".join(f"${n}" for n in range(5, 5 + len(values)))}
            RETURNING id
            """,
            club.community.id,
            external_id,
            profile_id,
            club.clock(),
            *values.values(),
        )
        await scope.execute(
            """
            INSERT INTO transaction_items (community_id, transaction_id, id, quantity, created_at, updated_at)
            VALUES ($1, $2, next_id(), 1, $3, $3)
            """,
            club.community.id,
            transaction_id,
            club.clock(),
        )
        await scope.execute(
            """
            INSERT INTO transaction_claims (
                community_id, profile_id, receipt_ref, transacted_at, timezone, total,
                location_external_code, transaction_id, created_at, updated_at
            )
            VALUES ($1, $2::text::uuid, $3, $5, 'UTC', 10, 'S1', $4, $5, $5)
            """,
            club.community.id,
            profile_id,
            external_id,
            transaction_id,
            club.clock(),
        )


async def row_owners(club: Club, table: str) -> list[str]:
    """The profile ids of the rows of a table, in the order of their ids."""
    found = await fetch_rows(club, f"SELECT profile_id FROM {table} WHERE community_id = $1 ORDER BY id")
    return [str(row["profile_id"]) for row in found]


async def headers_with(club: Club, *granted: str) -> dict[str, str]:
    """The headers of requests with a token of the community that has these permits alone."""
    new = tokens.NewToken(club.community.organization_id, "test", community_id=club.community.id, permits=granted)
    async with club.database.unscoped_connection() as connection:
        secret = await tokens.create(connection, new, club.clock())
    return {"Authorization": f"Bearer {secret}"}
