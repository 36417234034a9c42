"""Items of a transaction: matched, updated, added and voided, without an effect on the total."""

from decimal import Decimal
from typing import Any

import pytest

from api.transaction_client import (
    V3,
    Json,
    create_profile,
    create_transaction,
    get_json,
    get_values,
    item_fields,
    sale,
    update_transaction,
)
from clubs import Club


async def send(club: Club, method: str, path: str, body: Json | None = None, expected: int = 200) -> Json:
    answer = await club.http.request(method, f"{V3}/transactions/{path}", json=body)
    assert answer.status_code == expected, answer.text
    found: Json = answer.json() if answer.content else {}
    return found


def names(transaction: Json) -> list[tuple[str, float]]:
    return [(item["name"], item["quantity"]) for item in transaction["items"]]


async def two(club: Club, **more: Any) -> Json:
    items = [item_fields(external_id="a", name="A", brand="X"), item_fields(external_id="b", name="B", brand="Y")]
    return await create_transaction(club, sale(items=items, **more))


async def test_items_are_in_the_order_of_the_request(club: Club) -> None:
    sent = [
        item_fields(name=str(number), product_variant={"name": str(number)} if number % 3 else None)
        for number in range(30)
    ]
    created = await create_transaction(club, sale(items=sent))
    assert [item["name"] for item in created["items"]] == [str(number) for number in range(30)]


async def test_items_are_matched_by_id_then_by_external_id_and_others_are_appended(club: Club) -> None:
    created = await two(club)
    first, second = created["items"]
    changed = await update_transaction(
        club,
        created,
        items=[
            {"id": str(first["id"]), "quantity": 5},
            {"external_id": "b", "name": "B2"},
            item_fields(external_id="c", name="C"),
            item_fields(name="D", id=first["id"] + 1000),
        ],
    )
    assert names(changed) == [("A", 5), ("B2", 2), ("C", 2), ("D", 2)]
    assert [item["id"] for item in changed["items"][:2]] == [first["id"], second["id"]]
    assert changed["total"] == 100
    assert changed["items"][0]["created_at"] == first["created_at"]


async def test_items_with_the_same_external_id_are_matched_one_by_one(club: Club) -> None:
    created = await create_transaction(
        club, sale(items=[item_fields(external_id="a", name="1"), item_fields(external_id="a", name="2")])
    )
    changed = await update_transaction(
        club,
        created,
        items=[
            {"external_id": "a", "quantity": 3},
            {"external_id": "a", "quantity": 4},
            item_fields(external_id="a", name="3"),
        ],
    )
    assert names(changed) == [("1", 3), ("2", 4), ("3", 2)]


async def test_an_item_may_be_updated_twice_in_one_request(club: Club) -> None:
    created = await two(club)
    line_id = created["items"][0]["id"]
    changed = await update_transaction(
        club, created, items=[{"id": line_id, "quantity": 3}, {"id": line_id, "name": "Z"}]
    )
    assert names(changed) == [("Z", 3), ("B", 2)]


async def test_without_items_the_existing_items_stay(club: Club) -> None:
    created = await two(club)
    assert names(await update_transaction(club, created, total=3)) == [("A", 2), ("B", 2)]
    assert names(await update_transaction(club, created, delete_existing_items=True)) == [("A", 2), ("B", 2)]


async def test_all_items_can_be_replaced(club: Club) -> None:
    created = await two(club)
    second = created["items"][1]["id"]
    changed = await update_transaction(
        club,
        created,
        delete_existing_items=True,
        items=[item_fields(name="N"), item_fields(name="B2", id=second), item_fields(name="B3", id=second)],
    )
    assert sorted(names(changed)) == [("B2", 2), ("B3", 2), ("N", 2)]
    assert [item["id"] == second for item in changed["items"] if item["name"] == "B2"] == [True]
    assert (await update_transaction(club, created, delete_existing_items=True, items=[]))["items"] == []


async def test_an_incomplete_new_item_is_422_at_its_path_in_the_request(club: Club) -> None:
    created = await two(club)
    rejected = await update_transaction(
        club, created, 422, items=[{"external_id": "b", "quantity": "1e9"}, {"name": "C"}]
    )
    assert rejected["errors"] == {"items.0.quantity": ["must be below 10000000 in size"]}
    rejected = await update_transaction(club, created, 422, items=[{"external_id": "b"}, {"name": "C"}])
    assert rejected["errors"] == {
        "items.1.price_current": ["is required"],
        "items.1.price_sell": ["is required"],
        "items.1.quantity": ["is required"],
    }
    rejected = await update_transaction(
        club, created, 422, items=[{"external_id": "b"}, item_fields(product_variant_id=999999)]
    )
    assert rejected["errors"] == {"items.1.product_variant_id": ["there is no product variant 999999"]}


async def test_voiding_an_item_removes_its_brand_and_discount_but_not_from_the_total(club: Club) -> None:
    member = await create_profile(club)
    items = [item_fields(brand="X", discounts=[{"amount": 10}]), item_fields(brand="Y")]
    created = await create_transaction(club, sale(profile_id=member, items=items))
    found = await get_values(club, member)
    assert (found["purchased_brands"], found["discount_avg"]) == (["X", "Y"], Decimal("5.00"))
    changed = await update_transaction(club, created, items=[{"id": created["items"][0]["id"], "is_void": True}])
    assert (changed["total"], changed["items"][0]["is_void"]) == (100, True)
    found = await get_values(club, member)
    assert (found["purchased_brands"], found["discount_avg"]) == (["Y"], Decimal("0.00"))
    assert found["spend_all"] == Decimal("100.00")


# One line by itself --------------------------------------------------------------------------------------


async def test_items_are_listed_read_added_updated_and_deleted(club: Club) -> None:
    member = await create_profile(club)
    created = await two(club, profile_id=member)
    at = f"{created['id']}/items"
    added = (await send(club, "POST", at, item_fields(name="C", brand="Z", external_id="a"), 201))["data"]
    assert (added["name"], added["transaction_id"]) == ("C", created["id"])
    assert (await get_values(club, member))["purchased_brands"] == ["X", "Y", "Z"]
    assert (await send(club, "GET", f"{at}/{added['id']}"))["data"] == added
    changed = (await send(club, "PUT", f"{at}/{added['id']}", {"brand": None, "quantity": "1.5"}))["data"]
    assert (changed["brand"], changed["quantity"], changed["name"]) == (None, 1.5, "C")
    assert (await get_values(club, member))["purchased_brands"] == ["X", "Y"]
    listed = await get_json(club, f"transactions/{at}", **{"filter[name][in]": "a,c", "sort": "name"})
    assert [item["name"] for item in listed["data"]] == ["A", "C"]
    first = created["items"][0]["id"]
    await send(club, "DELETE", f"{at}/{first}", expected=204)
    assert (await get_values(club, member))["purchased_brands"] == ["Y"]
    assert (await get_values(club, member))["spend_all"] == Decimal("100.00")
    for method in ("GET", "DELETE"):
        await send(club, method, f"{at}/{first}", expected=404)
    await send(club, "PUT", f"{at}/{first}", {}, 404)


async def test_an_invalid_item_is_422_with_paths_relative_to_the_item(club: Club) -> None:
    created = await two(club)
    rejected = await send(
        club, "POST", f"{created['id']}/items", {"name": "C", "price_sell": 1, "price_current": 1}, 422
    )
    assert rejected["errors"] == {"quantity": ["is required"]}
    path = f"{created['id']}/items/{created['items'][0]['id']}"
    assert (await send(club, "PUT", path, {"price_sell": "NaN"}, 422))["errors"] == {"price_sell": ["must be a number"]}
    rejected = await send(club, "PUT", path, {"product_id": 999999}, 422)
    assert rejected["errors"] == {"product_id": ["there is no product 999999"]}


async def test_items_of_another_transaction_are_404(club: Club) -> None:
    one, other = await two(club), await two(club)
    path = f"{one['id']}/items/{other['items'][0]['id']}"
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        await send(club, method, path, body, 404)
    await send(club, "GET", "999999/items/1", expected=404)
    await send(club, "POST", "999999/items", item_fields(), 404)


# Products ------------------------------------------------------------------------------------------------


async def product(club: Club, brand: str, sku: str) -> Json:
    body = {"name": f"{brand} {sku}", "brand": brand, "variants": [{"sku": sku}]}
    answer = await club.http.post(f"{V3}/products", json=body)
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()["data"]
    return found


async def test_an_item_refers_to_a_product_by_variant_by_sku_or_by_id(club: Club) -> None:
    one = await product(club, "X", "S1")
    variant = one["variants"][0]["id"]
    named = [
        item_fields(product_variant_id=str(variant)),
        item_fields(sku="S1"),
        item_fields(product_id=one["id"]),
        item_fields(sku="S9"),
    ]
    created = await create_transaction(club, sale(items=named))
    assert [(item["product_id"], item["product_variant_id"]) for item in created["items"]] == [
        (one["id"], variant),
        (one["id"], variant),
        (one["id"], None),
        (None, None),
    ]


async def test_an_inline_variant_is_created_once(club: Club) -> None:
    member = await create_profile(club)
    inline = {"sku": "S1", "name": "42", "product": {"name": "Boots", "brand": "X"}}
    created = await create_transaction(
        club, sale(profile_id=member, items=[item_fields(product_variant=inline), item_fields(product_variant=inline)])
    )
    again = await create_transaction(club, sale(items=[item_fields(sku="S1")]))
    assert len({item["product_variant_id"] for item in (*created["items"], *again["items"])}) == 1
    assert (await get_values(club, member))["purchased_brands"] == ["X"]
    assert (await get_json(club, "products"))["meta"]["total"] == 1


@pytest.mark.parametrize(
    ("inline", "path"),
    [
        ({"sku": "x" * 256}, "items.0.product_variant"),
        ({"sku": ["x"]}, "items.0.product_variant"),
        ({"price": "1e99"}, "items.0.product_variant.price"),
        ({"product_id": 999999}, "items.0.product_variant.product_id"),
        ({"name": "a\0b"}, "items.0.product_variant"),
        ("S1", "items.0.product_variant"),
    ],
)
async def test_a_malformed_inline_variant_is_422(club: Club, inline: Any, path: str) -> None:
    rejected = await create_transaction(club, sale(items=[item_fields(product_variant=inline)]), 422)
    assert list(rejected["errors"]) == [path]
    assert (await get_json(club, "products"))["data"] == []


async def test_an_inline_variant_is_added_to_an_existing_product(club: Club) -> None:
    one = await product(club, "X", "S1")
    created = await create_transaction(
        club, sale(items=[item_fields(product_variant={"sku": "S2", "product_id": one["id"]})])
    )
    assert created["items"][0]["product_id"] == one["id"]


async def test_the_latest_reference_to_a_product_applies(club: Club) -> None:
    member = await create_profile(club)
    one, other = await product(club, "X", "S1"), await product(club, "Y", "S2")
    created = await create_transaction(club, sale(profile_id=member, items=[item_fields(sku="S1")]))
    (item,) = created["items"]

    async def brands(**body: Any) -> list[str]:
        await update_transaction(club, created, items=[{**item, **body}])
        return (await get_values(club, member))["purchased_brands"]  # type: ignore[no-any-return]

    assert await brands(sku="S2") == ["Y"]
    assert await brands(sku="S2", product_variant_id=one["variants"][0]["id"]) == ["X"]
    assert await brands(sku="none", product_variant_id=None, product_id=other["id"]) == ["Y"]
    assert await brands(sku=None, product_variant_id=None, product_id=None) == []
    assert await brands(product_variant={"sku": "S3", "product": {"name": "Z", "brand": "Z"}}) == ["Z"]
    assert await brands(sku=None, product_id=None, product_variant_id=None, brand="W") == ["W"]


async def test_a_single_discount_replaces_the_list_of_discounts(club: Club) -> None:
    created = await create_transaction(club, sale(items=[item_fields(discount="2.50")]))
    assert created["items"][0]["discounts"] == [{"amount": 2.5}]
    changed = await update_transaction(club, created, items=[{"id": created["items"][0]["id"], "discount": 3}])
    assert changed["items"][0]["discounts"] == [{"amount": 3}]
    changed = await update_transaction(club, created, items=[{"id": created["items"][0]["id"], "discounts": None}])
    assert changed["items"][0]["discounts"] == []
