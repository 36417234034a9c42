"""Brands over HTTP."""

import asyncio
from typing import Any

import pytest

from api.product_calls import values_version
from clubs import Club
from regulars.ingest.commit import commit
from regulars.model import brands

AT = "/api/v3/brands"


async def test_a_brand_is_made_read_renamed_and_deleted(club: Club) -> None:
    answer = await club.http.post(AT, json={"name": "Acme", "external_id": 7})
    made = answer.json()["data"]
    assert answer.status_code == 201
    assert list(made) == ["id", "external_id", "name", "created_at", "updated_at"]
    assert (made["name"], made["external_id"]) == ("Acme", "7")
    renamed = (await club.http.put(f"{AT}/{made['id']}", json={"name": "Acme Corp"})).json()["data"]
    assert renamed == made | {"name": "Acme Corp"}
    assert (await club.http.delete(f"{AT}/{made['id']}")).status_code == 204
    assert (await club.http.get(f"{AT}/{made['id']}")).status_code == 404
    assert (await club.http.put(f"{AT}/{made['id']}", json={})).status_code == 404
    assert (await club.http.delete(f"{AT}/{made['id']}")).status_code == 404


async def test_only_a_new_name_is_told_to_the_profiles(club: Club) -> None:
    made = (await club.http.post(AT, json={"name": "Acme"})).json()["data"]
    before = await values_version(club)
    await club.http.put(f"{AT}/{made['id']}", json={"external_id": "1", "name": "Acme"})
    assert await values_version(club) == before
    await club.http.put(f"{AT}/{made['id']}", json={"name": "acme"})
    assert await values_version(club) == before + 1


async def test_a_name_that_is_taken_is_refused_until_its_brand_is_deleted(club: Club) -> None:
    made = (await club.http.post(AT, json={"name": "Acme"})).json()["data"]
    answer = await club.http.post(AT, json={"name": "Acme"})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["name"])
    await club.http.delete(f"{AT}/{made['id']}")
    assert (await club.http.post(AT, json={"name": "Acme"})).status_code == 201


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
async def test_a_field_that_does_not_fit_is_refused_by_path(club: Club, fields: dict[str, Any], path: str) -> None:
    answer = await club.http.post(AT, json=fields)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [path])


async def test_names_become_brands_once_however_many_ask(club: Club) -> None:
    names = [f"Brand {number}" for number in range(20)]

    async def ask(order: list[str]) -> dict[str, int]:
        return await commit(club.database, club.community.id, lambda w: brands.get_or_create_ids(w, order))

    answers = await asyncio.gather(ask(names), ask(names[::-1]), ask(names))
    assert answers[0] == answers[1] == answers[2]
    assert sorted(answers[0]) == sorted(names)
