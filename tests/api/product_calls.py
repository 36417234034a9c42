"""What tests of products ask of the API, in one word each."""

from typing import Any

from clubs import Club

PRODUCTS_URL = "/api/v3/products"


async def create_product(club: Club, **fields: Any) -> dict[str, Any]:
    """A new product."""
    answer = await club.http.post(PRODUCTS_URL, json=fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def list_products(club: Club) -> list[dict[str, Any]]:
    """The products of the first page."""
    found: list[dict[str, Any]] = (await club.http.get(PRODUCTS_URL)).json()["data"]
    return found


async def values_version(club: Club) -> int:
    """Rises when a fact that many profiles share has changed."""
    async with club.database.read_transaction(club.community.id) as scope:
        found: int = await scope.fetchval(
            "SELECT values_version FROM cache_versions WHERE community_id = $1", club.community.id
        )
    return found
