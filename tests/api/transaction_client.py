"""Requests of the Profile API that tests of transactions use."""

from decimal import Decimal
from typing import Any

import msgspec

from clubs import Club

V3 = "/api/v3"
Json = dict[str, Any]

_exact = msgspec.json.Decoder(float_hook=Decimal)


def item_fields(**more: Any) -> Json:
    """An item with all required fields."""
    return {"name": "Socks", "price_current": 50, "price_sell": 50, "quantity": 2} | more


def sale(total: float | str = 100, at: str = "2026-10-01 12:00:00", /, **more: Any) -> Json:
    """A transaction with all required fields."""
    return {"total": total, "transacted_at": at, "timezone": "UTC", "items": [item_fields()]} | more


async def create_transaction(club: Club, body: Json, expected: int = 201) -> Json:
    """Creates a transaction; returns its representation."""
    answer = await club.http.post(f"{V3}/transactions", json=body)
    assert answer.status_code == expected, answer.text
    found: Json = answer.json()
    return found["data"] if expected == 201 else found


async def update_transaction(club: Club, transaction: Json, expected: int = 200, /, **body: Any) -> Json:
    """Updates a transaction; returns its representation."""
    answer = await club.http.put(f"{V3}/transactions/{transaction['id']}", json=body)
    assert answer.status_code == expected, answer.text
    found: Json = answer.json()
    return found["data"] if expected == 200 else found


async def get_json(club: Club, path: str, expected: int = 200, /, **query: Any) -> Json:
    """The response to a GET request, with exact decimals."""
    answer = await club.http.get(path if path.startswith("/") else f"{V3}/{path}", params=query)
    assert answer.status_code == expected, answer.text
    found: Json = _exact.decode(answer.content)
    return found


async def create_profile(club: Club, **body: Any) -> str:
    """Creates a profile; returns its id."""
    answer = await club.http.post(f"{V3}/profiles", json=body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["data"]["id"]
    return found


async def fill_spend(club: Club, profile_id: str, headroom: int = 0) -> None:
    """Adds a sale so large that only `headroom` minor units more of spend can be stored."""
    created = await create_transaction(club, sale(1, profile_id=profile_id))
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "UPDATE transactions SET amount = $3 WHERE community_id = $1 AND id = $2",
            club.community.id,
            created["id"],
            2**63 - 1 - headroom,
        )


async def get_values(club: Club, profile_id: str) -> Json:
    """A profile's aggregations."""
    return (await get_json(club, f"profiles/{profile_id}/aggregations"))["data"]  # type: ignore[no-any-return]


async def shop_count_and_spend(club: Club, profile_id: str) -> tuple[Any, Any]:
    """The number of sales of a profile, and its net spend of all time."""
    found = await get_values(club, profile_id)
    return found["shop_count"], found["spend_all"]


def aggregations_path(profile_id: str, rest: str = "") -> str:
    """The path of a profile's aggregations."""
    return f"{V3}/profiles/{profile_id}/aggregations{rest}"
