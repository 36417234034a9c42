"""Short forms of what tests of profiles do over and over."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest_asyncio

from clubs import Club, ManualClock, create_club
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
    """A profile that was made with these fields, as it was answered."""
    answer = await club.http.post(PROFILES_URL, json=fields)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()["data"]
    return shown


async def get_profile(club: Club, profile_id: str) -> dict[str, Any]:
    """A profile as it is read."""
    answer = await club.http.get(f"{PROFILES_URL}/{profile_id}")
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()["data"]
    return read


async def update_profile(club: Club, profile_id: str, **fields: Any) -> dict[str, Any]:
    """A profile after these fields of it were changed, as it was answered."""
    answer = await club.http.put(f"{PROFILES_URL}/{profile_id}", json=fields)
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()["data"]
    return read


async def get_errors(club: Club, method: str, path: str, body: Any) -> dict[str, list[str]]:
    """The errors, by path, of a request that is refused."""
    answer = await club.http.request(method, f"{PROFILES_URL}{path}", json=body)
    assert answer.status_code == 422, answer.text
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


async def create_location(club: Club, **fields: Any) -> int:
    """The id of a location that was made with these fields."""
    answer = await club.http.post("/api/v3/locations", json=fields)
    assert answer.status_code == 201, answer.text
    location_id: int = answer.json()["data"]["id"]
    return location_id


async def fetch_rows(club: Club, statement: str, *values: object) -> list[Any]:
    """What a statement reads of the club's tables; `$1` is the club."""
    async with club.database.read_transaction(club.community.id) as scope:
        return await scope.fetch(statement, club.community.id, *values)


async def list_memberships(club: Club, profile_id: str) -> list[tuple[str, str, bool]]:
    """The ins and outs of a profile in their order: type, when, whether it counts."""
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
    """A transaction of a profile with one item, as it is kept."""
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
    """Whose the rows of a table are, in the order in which they came."""
    found = await fetch_rows(club, f"SELECT profile_id FROM {table} WHERE community_id = $1 ORDER BY id")
    return [str(row["profile_id"]) for row in found]
