"""Brands over HTTP."""

import asyncio
from typing import Any

import pytest

from api.product_calls import values_version
from clubs import Club
from regulars.ingest.commit import commit
from regulars.model import brands

BRANDS_URL = "/api/v3/brands"


async def test_a_brand_is_created_read_renamed_and_deleted(club: Club) -> None:
    response = await club.http.post(BRANDS_URL, json={"name": "Acme", "external_id": 7})
    brand = response.json()["data"]
    assert response.status_code == 201
    assert list(brand) == ["id", "external_id", "name", "handle", "created_at", "updated_at"]
    assert (brand["name"], brand["external_id"]) == ("Acme", "7")
    renamed = (await club.http.put(f"{BRANDS_URL}/{brand['id']}", json={"name": "Acme Corp"})).json()["data"]
    assert renamed == brand | {"name": "Acme Corp"}
    assert (await club.http.delete(f"{BRANDS_URL}/{brand['id']}")).status_code == 204
    assert (await club.http.get(f"{BRANDS_URL}/{brand['id']}")).status_code == 404
    assert (await club.http.put(f"{BRANDS_URL}/{brand['id']}", json={})).status_code == 404
    assert (await club.http.delete(f"{BRANDS_URL}/{brand['id']}")).status_code == 404


async def test_only_a_new_name_of_a_brand_invalidates_values(club: Club) -> None:
    brand = (await club.http.post(BRANDS_URL, json={"name": "Acme"})).json()["data"]
    before = await values_version(club)
    await club.http.put(f"{BRANDS_URL}/{brand['id']}", json={"external_id": "1", "name": "Acme"})
    assert await values_version(club) == before
    await club.http.put(f"{BRANDS_URL}/{brand['id']}", json={"name": "acme"})
    assert await values_version(club) == before + 1


async def test_a_name_in_use_is_rejected_until_its_brand_is_deleted(club: Club) -> None:
    brand = (await club.http.post(BRANDS_URL, json={"name": "Acme"})).json()["data"]
    response = await club.http.post(BRANDS_URL, json={"name": "Acme"})
    assert (response.status_code, list(response.json()["errors"])) == (422, ["name"])
    await club.http.delete(f"{BRANDS_URL}/{brand['id']}")
    assert (await club.http.post(BRANDS_URL, json={"name": "Acme"})).status_code == 201


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "a", "external_id": 1.5}, "external_id"),
        ({"name": "a", "external_id": "\0"}, "external_id"),
    ],
)
async def test_an_invalid_field_is_rejected_by_path(club: Club, fields: dict[str, Any], path: str) -> None:
    response = await club.http.post(BRANDS_URL, json=fields)
    assert (response.status_code, list(response.json()["errors"])) == (422, [path])


async def test_concurrent_writers_create_a_brand_once(club: Club) -> None:
    names = [f"Brand {number}" for number in range(20)]

    async def ask(order: list[str]) -> dict[str, int]:
        return await commit(club.database, club.community.id, lambda w: brands.get_or_create_ids(w, order))

    responses = await asyncio.gather(ask(names), ask(names[::-1]), ask(names))
    assert responses[0] == responses[1] == responses[2]
    assert sorted(responses[0]) == sorted(names)
