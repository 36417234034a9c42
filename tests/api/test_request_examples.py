"""The examples of request bodies in OpenAPI and the documentation are accepted by the server."""

from typing import Any

import httpx
import msgspec
import pytest

from api.profile_calls import create_profile
from clubs import Club
from regulars.api.profile import examples
from regulars.api.registry import ENDPOINTS
from regulars.web.bodies import decode_body
from regulars.web.endpoint import Endpoint

WITH_BODY = [each for each in ENDPOINTS if each.request_model is not None]


async def post(club: Club, path: str, body: object) -> dict[str, Any]:
    answer: httpx.Response = await club.http.post(f"/api/v3/{path}", json=body)
    assert answer.status_code in (200, 201), answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=lambda each: f"{each.method} {each.path}")
def test_every_request_body_has_an_example_that_fits_its_model(endpoint: Endpoint) -> None:
    assert endpoint.request_example
    decode_body(msgspec.json.encode(endpoint.request_example), endpoint.request_model)


async def test_the_examples_create_what_they_show(club: Club) -> None:
    await post(club, "brands", examples.BRAND)
    product = await post(club, "products", examples.PRODUCT)
    variant = examples.VARIANT | {"external_id": "B-43-BLACK", "sku": "B-43"}
    await post(club, f"products/{product['id']}/variants", variant)
    await post(club, "locations", examples.LOCATION)
    await post(club, "webhooks", examples.WEBHOOK)
    profile_id = (await post(club, "profiles", examples.PROFILE))["id"]
    await post(club, f"profiles/{profile_id}/addresses", examples.ADDRESS)
    await post(club, f"profiles/{profile_id}/identities", examples.IDENTITY)
    transaction = await post(club, "transactions", examples.TRANSACTION)
    assert transaction["profile_id"] == profile_id
    item = await post(club, f"transactions/{transaction['id']}/items", examples.TRANSACTION_ITEM)
    assert item["price_sell"] == examples.TRANSACTION_ITEM["price_sell"]
    claim = await post(club, f"profiles/{profile_id}/transactions/claims", examples.CLAIM)
    assert claim["transaction_id"] is None


async def test_the_examples_of_queries_find_the_example_profile(club: Club) -> None:
    profile_id = str((await create_profile(club, **examples.PROFILE))["id"])
    assert (await post(club, "profiles/search-id", examples.PROFILE_SEARCH))["id"] == profile_id
    assert (await post(club, "profiles/availability", examples.AVAILABILITY))["email"]["available"] is False
    query = examples.AGGREGATIONS_QUERY | {"profile_ids": [profile_id]}
    answer = await club.http.post("/api/v3/profiles/aggregations/query", json=query)
    assert answer.json()["data"] == [{"spend_12m": 0, "shop_count": 0}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("locations/batch.json", examples.LOCATIONS),
        ("products/batch.json", examples.PRODUCTS),
        ("profiles/batch.json", examples.PROFILES),
    ],
)
async def test_the_examples_of_batches_are_accepted(club: Club, path: str, body: examples.Example) -> None:
    assert (await post(club, path, body))["rejected"] == []
