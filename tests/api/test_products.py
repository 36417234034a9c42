"""Products and their variants over HTTP."""

import asyncio
from typing import Any

import pytest

from api.product_calls import PRODUCTS_URL, create_product, list_products, values_version
from clubs import Club


async def changed(club: Club, product: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = await club.http.put(f"{PRODUCTS_URL}/{product['id']}", json=fields)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


async def test_a_product_is_created_with_its_brand_and_variants(club: Club) -> None:
    found = await create_product(
        club,
        external_id="P1",
        name="Shirt",
        brand="Acme",
        description="Cotton",
        tags=["knitwear"],
        variants=[
            {"sku": "S1", "name": "Small", "price": 199.5},
            {"sku": 2, "external_id": "X2", "position": 1},
        ],
    )
    assert list(found)[:6] == ["id", "external_id", "name", "title", "brand", "variants"]
    assert list(found)[-2:] == ["created_at", "updated_at"]
    assert (found["external_id"], found["name"], found["title"]) == ("P1", "Shirt", "Shirt")
    assert found["brand"] == {"id": found["brand"]["id"], "name": "Acme"}
    assert (found["description"], found["tags"], found["images"]) == ("Cotton", ["knitwear"], [])
    first, second = found["variants"]
    assert (first["sku"], first["name"], first["price"], first["product_id"]) == (
        "S1",
        "Small",
        199.5,
        found["id"],
    )
    assert (second["sku"], second["external_id"], second["position"]) == ("2", "X2", 1)
    assert first["created_at"] == "2026-11-01 00:00:00"
    assert (await club.http.get(f"{PRODUCTS_URL}/{found['id']}")).json() == {"data": found}


async def test_a_variant_looks_the_same_within_its_product_and_alone(club: Club) -> None:
    product = await create_product(
        club, name="Shirt", variants=[{"sku": "S1", "price_cost": 1.25, "images": [{"url": "u"}]}]
    )
    (variant,) = product["variants"]
    alone = (await club.http.get(f"{PRODUCTS_URL}/{product['id']}/variants/{variant['id']}")).json()["data"]
    assert alone == variant
    assert list(alone) == list(variant)
    assert (await club.http.get(f"{PRODUCTS_URL}/{product['id']}/variants")).json()["data"] == [variant]


async def test_money_keeps_its_decimals(club: Club) -> None:
    product = await create_product(club, name="Shirt")
    response = await club.http.post(
        f"{PRODUCTS_URL}/{product['id']}/variants",
        content=b'{"sku": "S1", "price": 10.500, "price_cost": "9999999999.123456"}',
    )
    assert b'"price":10.500,' in response.content
    assert b'"price_cost":9999999999.123456,' in response.content
    whole = await club.http.get(f"{PRODUCTS_URL}/{product['id']}")
    assert b'"price" : 10.500,' in whole.content


async def test_title_is_an_alias_of_name(club: Club) -> None:
    product = await create_product(club, title="Shirt", variants=[{"title": "Small", "sku": "S1"}])
    assert (product["name"], product["variants"][0]["name"]) == ("Shirt", "Small")
    read = await changed(club, product, **product | {"title": "Blouse"})
    assert (read["name"], read["title"]) == ("Blouse", "Blouse")
    read = await changed(club, product, **read | {"name": "Tunic"})
    assert (read["name"], read["title"]) == ("Tunic", "Tunic")


async def test_a_response_can_be_sent_back_and_changes_nothing(club: Club) -> None:
    product = await create_product(
        club, name="Shirt", brand="Acme", variants=[{"sku": "S1", "price": 5.25}], meta={"a": 1}
    )
    before = await values_version(club)
    await club.http.delete(f"/api/v3/brands/{product['brand']['id']}")
    club.clock.advance(hours=1)
    assert await changed(club, product, **product) == product
    assert await values_version(club) == before


async def test_another_brand_of_a_product_invalidates_values(club: Club) -> None:
    product = await create_product(club, name="Shirt", brand="Acme")
    before = await values_version(club)
    await changed(club, product, name="Blouse", tags=["x"], brand="Acme")
    assert await values_version(club) == before
    other = (await changed(club, product, brand="Other"))["brand"]
    assert (other["name"], await values_version(club)) == ("Other", before + 1)
    assert (await changed(club, product, brand=None))["brand"] is None
    assert (await changed(club, product, brand_id=str(other["id"])))["brand"] == other
    assert (await changed(club, product, name="x"))["brand"] == other


async def test_an_unknown_brand_is_rejected_by_path(club: Club) -> None:
    for fields, path in (
        ({"brand_id": 10**9}, "brand_id"),
        ({"brand": {"id": 10**9}}, "brand.id"),
        ({"brand": {"name": "a\0"}}, "brand.name"),
        ({"brand": "\0"}, "brand"),
    ):
        response = await club.http.post(PRODUCTS_URL, json=fields)
        assert (response.status_code, list(response.json()["errors"])) == (422, [path])


async def test_variants_are_matched_by_id_then_sku_then_external_id_and_the_rest_added(club: Club) -> None:
    product = await create_product(
        club,
        name="Shirt",
        variants=[{"sku": "A", "name": "a"}, {"sku": "B", "name": "b"}, {"external_id": "C"}],
    )
    first, second, third = (each["id"] for each in product["variants"])
    read = await changed(
        club,
        product,
        variants=[
            {"id": first, "sku": "A2"},
            {"sku": "B", "price": 3},
            {"external_id": "C", "name": "c"},
            {"sku": "D"},
        ],
    )
    assert [(each["id"], each["sku"], each["name"], each["price"]) for each in read["variants"][:3]] == [
        (first, "A2", "a", None),
        (second, "B", "b", 3),
        (third, None, "c", None),
    ]
    assert [each["sku"] for each in read["variants"][3:]] == ["D"]


async def test_a_sku_belongs_to_one_product(club: Club) -> None:
    first = await create_product(club, name="Shirt", variants=[{"sku": "A"}])
    response = await club.http.post(PRODUCTS_URL, json={"name": "Blouse", "variants": [{"sku": "B"}, {"sku": "A"}]})
    assert response.json()["errors"] == {
        "variants.1.sku": [f"belongs to product {first['id']}: choose one that is free"]
    }
    assert [each["name"] for each in await list_products(club)] == ["Shirt"]
    second = await create_product(club, name="Blouse", variants=[{"sku": "B"}])
    for method, url in (
        ("POST", f"{PRODUCTS_URL}/{second['id']}/variants"),
        ("PUT", f"{PRODUCTS_URL}/{second['id']}/variants/{second['variants'][0]['id']}"),
    ):
        response = await club.http.request(method, url, json={"sku": "A"})
        assert response.json()["errors"] == {"sku": ["is taken by another: choose one that is free"]}


async def test_variants_of_one_request_must_not_conflict(club: Club) -> None:
    errors = ["is taken by another variant: choose one that is free"]
    rows = [{"sku": "A", "external_id": "X"}, {"sku": "B"}, {"sku": "B", "external_id": "X"}]
    response = await club.http.post(PRODUCTS_URL, json={"name": "Shirt", "variants": rows})
    assert response.json()["errors"] == {"variants.2.external_id": errors}
    product = await create_product(club, name="Shirt", variants=rows[:2])
    second = product["variants"][1]["id"]
    response = await club.http.put(f"{PRODUCTS_URL}/{product['id']}", json={"variants": [{"id": second, "sku": "A"}]})
    assert response.json()["errors"] == {"variants.0.sku": errors}
    assert [each["sku"] for each in (await changed(club, product, variants=rows[:2]))["variants"]] == ["A", "B"]


async def test_what_an_earlier_variant_frees_is_free(club: Club) -> None:
    rows = [{"sku": "A", "name": "a"}, {"sku": "B", "name": "b"}, {"external_id": "C"}, {"name": "old"}]
    product = await create_product(club, name="Shirt", variants=rows)
    first, second, third, fourth = (each["id"] for each in product["variants"])
    moved = [
        {"id": first, "sku": "A2"},
        {"id": second, "sku": "A"},
        {"sku": "B", "name": "new"},
        {"id": third, "external_id": "C2"},
        {"external_id": "C", "name": "new"},
        {"id": fourth, "name": "renamed"},
        {"name": "old"},
    ]
    read = (await changed(club, product, variants=moved))["variants"]
    assert [(each["id"], each["sku"], each["external_id"], each["name"]) for each in read[:4]] == [
        (first, "A2", None, "a"),
        (second, "A", None, "b"),
        (third, None, "C2", None),
        (fourth, None, None, "renamed"),
    ]
    assert sorted((each["sku"] or "", each["external_id"] or "", each["name"]) for each in read[4:]) == [
        ("", "", "old"),
        ("", "C", "new"),
        ("B", "", "new"),
    ]


async def test_a_variant_is_created_updated_and_deleted(club: Club) -> None:
    product = await create_product(club, name="Shirt")
    url = f"{PRODUCTS_URL}/{product['id']}/variants"
    response = await club.http.post(url, json={"sku": "A", "name": "Small"})
    variant = response.json()["data"]
    assert response.status_code == 201
    club.clock.advance(hours=1)
    read = (await club.http.put(f"{url}/{variant['id']}", json={"name": "Large"})).json()["data"]
    assert read == variant | {"name": "Large", "title": "Large", "updated_at": "2026-11-01 01:00:00"}
    assert (await club.http.delete(f"{url}/{variant['id']}")).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert (await club.http.request(method, f"{url}/{variant['id']}", json={})).status_code == 404
    assert (await club.http.get(f"{PRODUCTS_URL}/{product['id']}")).json()["data"]["variants"] == []
    assert (await club.http.post(url, json={"sku": "A"})).status_code == 201


async def test_a_variant_is_found_only_under_its_own_product(club: Club) -> None:
    first = await create_product(club, name="Shirt", variants=[{"sku": "A"}])
    second = await create_product(club, name="Blouse")
    url = f"{PRODUCTS_URL}/{second['id']}/variants/{first['variants'][0]['id']}"
    for method in ("GET", "PUT", "DELETE"):
        assert (await club.http.request(method, url, json={})).status_code == 404
    for method in ("GET", "POST"):
        assert (await club.http.request(method, f"{PRODUCTS_URL}/{10**9}/variants", json={})).status_code == 404


async def test_variants_include_their_product_on_request(club: Club) -> None:
    product = await create_product(club, name="Shirt", variants=[{"sku": "A"}])
    url = f"{PRODUCTS_URL}/{product['id']}/variants"
    (variant,) = (await club.http.get(url, params={"include": "product"})).json()["data"]
    assert variant["product"] == product
    alone = (await club.http.get(f"{url}/{variant['id']}", params={"include": "profile,product"})).json()["data"]
    assert alone["product"] == product


async def test_a_deleted_product_frees_its_ids_and_keeps_its_brand(club: Club) -> None:
    product = await create_product(club, external_id="P1", name="Shirt", brand="Acme", variants=[{"sku": "A"}])
    assert (await club.http.delete(f"{PRODUCTS_URL}/{product['id']}")).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert (await club.http.request(method, f"{PRODUCTS_URL}/{product['id']}", json={})).status_code == 404
    assert await list_products(club) == []
    async with club.database.read_transaction(club.community.id) as scope:
        brand_id = await scope.fetchval(
            "SELECT brand_id FROM products WHERE community_id = $1 AND id = $2",
            club.community.id,
            product["id"],
        )
    assert brand_id == product["brand"]["id"]
    again = await create_product(club, external_id="P1", name="Shirt", variants=[{"sku": "A"}])
    assert again["id"] != product["id"]


async def test_products_without_an_id_match_by_name_and_brand(club: Club) -> None:
    await create_product(club, name="Shirt", brand="Acme")
    await create_product(club, name="Shirt", brand="Other")
    await create_product(club, name="Shirt", external_id="P1", brand="Acme")
    response = await club.http.post(PRODUCTS_URL, json={"name": "Shirt", "brand": "Acme"})
    assert (response.status_code, list(response.json()["errors"])) == (422, ["name"])


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        *(({name: 5}, name) for name in ("name", "title", "brand", "description", "status", "currency", "tags")),
        *(({name: "x"}, name) for name in ("position", "tags", "images", "variants", "brand_id", "meta")),
        *(({name: "x" * 256}, name) for name in ("external_id", "name", "brand", "handle", "type", "department")),
        *(({name: "\0"}, name) for name in ("external_id", "name", "title", "handle", "description", "web_url")),
        ({"brand_id": 0}, "brand_id"),
        ({"brand_id": 10**30}, "brand_id"),
        ({"position": 10**30}, "position"),
        ({"position": 1.5}, "position"),
        ({"options": ["\0"]}, "options"),
        ({"meta": {"\0": 1}}, "meta"),
        ({"variants": [{}, {"price": "x"}]}, "variants.1.price"),
        ({"variants": [{"price": "NaN"}]}, "variants.0.price"),
        ({"variants": [{"price": "Infinity"}]}, "variants.0.price"),
        ({"variants": [{"price": "1e999999"}]}, "variants.0.price"),
        ({"variants": [{"price": 10**30}]}, "variants.0.price"),
        ({"variants": [{"price": 0.0000001}]}, "variants.0.price"),
        ({"variants": [{"price": True}]}, "variants.0.price"),
        ({"variants": [{"price_cost": "nan"}]}, "variants.0.price_cost"),
        ({"variants": [{"available_quantity": 2**31}]}, "variants.0.available_quantity"),
        ({"variants": [{"sku": "\0"}]}, "variants.0.sku"),
        ({"variants": [{"sku": "x" * 256}]}, "variants.0.sku"),
        ({"variants": [{"id": 10**30}]}, "variants.0.id"),
        ({"variants": [{"barcode": []}]}, "variants.0.barcode"),
        ({"variants": [5]}, "variants.0"),
    ],
)
async def test_an_invalid_field_is_rejected_by_path(club: Club, fields: dict[str, Any], path: str) -> None:
    response = await club.http.post(PRODUCTS_URL, json=fields)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == [path]
    assert await list_products(club) == []


# In bulk ---------------------------------------------------------------------------------------------


async def batch(club: Club, *rows: dict[str, Any]) -> dict[str, Any]:
    response = await club.http.post(f"{PRODUCTS_URL}/batch.json", json={"products": rows})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


async def test_a_repeated_batch_adds_nothing(club: Club) -> None:
    rows: list[dict[str, Any]] = [
        {
            "external_id": "P1",
            "name": "Shirt",
            "brand": "Acme",
            "variants": [{"sku": "A"}, {"name": "plain"}],
        },
        {"name": "Sock", "brand": "Acme", "tags": ["x"], "variants": [{"sku": "B", "price": "1.50"}]},
        {"name": "Sock", "variants": [{}]},
    ]
    assert (await batch(club, *rows))["accepted"] == 3
    before = await list_products(club)
    version = await values_version(club)
    again = await batch(club, *rows)
    assert (again["accepted"], again["unchanged"], again["rejected"]) == (0, 3, [])
    assert await list_products(club) == before
    assert await values_version(club) == version
    rows[1]["variants"][0]["price"] = "1.75"
    assert (await batch(club, *rows))["accepted"] == 1
    assert await values_version(club) == version
    rows[0]["brand"] = "Other"
    assert (await batch(club, *rows))["accepted"] == 1
    assert await values_version(club) == version + 1


async def test_a_batch_stores_valid_rows_and_reports_invalid_ones(club: Club) -> None:
    product = await create_product(club, external_id="P0", variants=[{"sku": "A"}])
    results = await batch(
        club,
        {"external_id": "P1", "brand_id": product["id"] + 10**9},
        {"external_id": "P2"},
        {"external_id": "P3", "variants": [{"sku": "A"}]},
        {"brand": "nameless"},
        {"external_id": "P4", "name": 5},
        {"external_id": "P5", "variants": [{"sku": "C"}]},
        {"external_id": "P6", "variants": [{"sku": "C"}]},
    )
    assert results["accepted"] == 2
    assert [(each["index"], list(each["errors"])) for each in results["rejected"]] == [
        (0, ["brand_id"]),
        (2, ["variants.0.sku"]),
        (3, ["external_id"]),
        (4, ["name"]),
        (6, ["variants.0.sku"]),
    ]
    assert [each["external_id"] for each in await list_products(club)] == ["P0", "P2", "P5"]


async def test_concurrent_batches_create_each_product_once(club: Club) -> None:
    rows = [
        {"external_id": f"P{number}", "brand": f"B{number % 3}", "variants": [{"sku": f"S{number}"}]}
        for number in range(20)
    ] + [{"name": f"N{number}", "brand": "B", "variants": [{"name": "one"}]} for number in range(10)]
    results = await asyncio.gather(batch(club, *rows), batch(club, *rows[::-1]), batch(club, *rows))
    assert [each["rejected"] for each in results] == [[], [], []]
    assert sum(each["accepted"] for each in results) == 30
    found = (await club.http.get(PRODUCTS_URL, params={"page[size]": 100})).json()["data"]
    assert (len(found), sum(len(each["variants"]) for each in found)) == (30, 30)
