"""Calls of the products API for tests."""

from typing import Any

from clubs import Club

PRODUCTS_URL = "/api/v3/products"


async def create_product(club: Club, **fields: Any) -> dict[str, Any]:
    """Creates a product and returns it."""
    response = await club.http.post(PRODUCTS_URL, json=fields)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


async def list_products(club: Club) -> list[dict[str, Any]]:
    """The products of the first page."""
    found: list[dict[str, Any]] = (await club.http.get(PRODUCTS_URL)).json()["data"]
    return found


async def values_version(club: Club) -> int:
    """The version that a change of a shared fact increments."""
    async with club.database.read_transaction(club.community.id) as scope:
        found: int = await scope.fetchval(
            "SELECT values_version FROM cache_versions WHERE community_id = $1", club.community.id
        )
    return found
