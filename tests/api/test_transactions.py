"""Transactions over HTTP: representation, profile, location and lists."""

from decimal import Decimal

import pytest

from api.transaction_client import (
    V3,
    create_profile,
    create_transaction,
    get_json,
    get_values,
    item_fields,
    sale,
    shop_count_and_spend,
    update_transaction,
)
from clubs import Club


async def test_a_transaction_is_returned_as_sent(club: Club) -> None:
    member = await create_profile(club)
    sent = sale(
        "100.50",
        external_id="R-1",
        profile_id=member,
        location_id="M10",
        systems=["pos"],
        tags=["vip"],
        meta={"till": 3},
        payments=["EFTPOS"],
        receipt_ref="r1",
        linked_receipt_ref="r0",
        total_original=120,
        rounding="0.05",
        margin=31,
        type="sale",
        status="paid",
        order_number=77,
        items=[
            item_fields(
                external_id=9,
                sku="S1",
                brand="Acme",
                price_original=60,
                price_tax="12.50",
                discounts=[{"amount": 5, "name": "Spring", "code": "A1"}],
                tags=["x"],
                meta={"y": 1},
            )
        ],
    )
    created = await create_transaction(club, sent)
    shown = (await get_json(club, f"transactions/{created['id']}"))["data"]
    assert shown.pop("created_at") == shown.pop("updated_at") == "2026-11-01 00:00:00"
    (item,) = shown.pop("items")
    location = shown.pop("location")
    assert shown == {
        "id": created["id"],
        "external_id": "R-1",
        "profile_id": member,
        "location_id": location["id"],
        "transacted_at": "2026-10-01 12:00:00",
        "timezone": "UTC",
        "total": Decimal("100.50"),
        "total_original": 120,
        "currency": None,
        "currency_rate": None,
        "rounding": Decimal("0.05"),
        "margin": 31,
        "type": "sale",
        "status": "paid",
        "order_number": "77",
        "receipt_ref": "r1",
        "linked_receipt_ref": "r0",
        "systems": ["pos"],
        "is_void": False,
        "tags": ["vip"],
        "meta": {"till": 3},
        "payments": ["EFTPOS"],
    }
    assert (location["external_id"], location["name"]) == ("M10", None)
    assert item.pop("id") > 0
    del item["created_at"], item["updated_at"]
    assert item == {
        "transaction_id": created["id"],
        "external_id": "9",
        "name": "Socks",
        "sku": "S1",
        "brand": "Acme",
        "product_id": None,
        "product_variant_id": None,
        "quantity": 2,
        "price_sell": 50,
        "price_current": 50,
        "price_original": 60,
        "price_tax": Decimal("12.50"),
        "discounts": [{"amount": 5, "name": "Spring", "code": "A1"}],
        "is_void": False,
        "tags": ["x"],
        "meta": {"y": 1},
    }


async def test_a_created_transaction_is_returned_completely(club: Club) -> None:
    created = await create_transaction(club, sale(external_id="R-1"))
    shown = (await club.http.get(f"{V3}/transactions/{created['id']}")).json()["data"]
    assert created == shown
    assert created == (await club.http.get(f"{V3}/transactions/external/R-1")).json()["data"]


async def test_missing_fields_of_a_new_transaction_are_422_at_their_path(club: Club) -> None:
    rejected = await create_transaction(club, {"items": [{"name": "Socks"}]}, 422)
    assert rejected["errors"] == {
        "timezone": ["is required"],
        "total": ["is required"],
        "transacted_at": ["is required"],
        "items.0.price_current": ["is required"],
        "items.0.price_sell": ["is required"],
        "items.0.quantity": ["is required"],
    }
    assert list((await create_transaction(club, sale() | {"items": None}, 422))["errors"]) == ["items"]


async def test_a_transaction_refers_to_a_profile_by_id_email_or_identity(club: Club) -> None:
    member = await create_profile(club, email="Ola@example.no", identities=[{"handle": "shopify", "identifier": "77"}])
    for ref in (
        {"profile_id": member.upper()},
        {"profile_id": "ola@EXAMPLE.no", "profile_id_handle": "email"},
        {"profile_id": 77, "profile_id_handle": "shopify"},
    ):
        assert (await create_transaction(club, sale(**ref)))["profile_id"] == member
    assert await shop_count_and_spend(club, member) == (3, Decimal("300.00"))


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ({"profile_id": "x"}, "must be a UUID; name another identity by profile_id_handle"),
        (
            {"profile_id": "018f0000-0000-7000-8000-000000000000"},
            "there is no profile 018f0000-0000-7000-8000-000000000000",
        ),
        (
            {"profile_id": "x@y.no", "profile_id_handle": "email"},
            "there is no profile with the email x@y.no",
        ),
    ],
)
async def test_an_unknown_profile_is_422(club: Club, ref: dict[str, str], message: str) -> None:
    rejected = await create_transaction(club, sale(location_id="new", **ref), 422)
    assert rejected["errors"] == {"profile_id": [message]}
    # No profile has been created.
    assert (await get_json(club, "locations"))["data"] == []


async def test_a_location_is_matched_by_its_id_then_by_its_external_id(club: Club) -> None:
    first = (await create_transaction(club, sale(location_id="A")))["location_id"]
    assert (await create_transaction(club, sale(location_id="A")))["location_id"] == first
    assert (await create_transaction(club, sale(location_id=first)))["location_id"] == first
    assert (await create_transaction(club, sale(location_id=str(first))))["location_id"] == first
    assert [each["external_id"] for each in (await get_json(club, "locations"))["data"]] == ["A"]


async def test_a_changed_location_of_a_transaction_shows_in_the_values(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale(profile_id=member, location_id="A"))
    await update_transaction(club, created, location_id="B")
    assert (await get_values(club, member))["store_join"]["external_id"] == "B"
    assert (await update_transaction(club, created, location_id=None))["location"] is None
    assert (await get_values(club, member))["store_join"] is None


async def test_a_deleted_location_stays_in_its_transactions(club: Club) -> None:
    created = await create_transaction(club, sale(location_id="A"))
    assert (await club.http.delete(f"{V3}/locations/{created['location_id']}")).status_code == 204
    changed = await update_transaction(club, created, **(created | {"total": 5}))
    assert (changed["total"], changed["location_id"]) == (5, created["location_id"])


async def test_lists_are_filtered_sorted_and_paged(club: Club) -> None:
    member = await create_profile(club, first_name="Ola")
    ids = [
        (
            await create_transaction(
                club, sale(total, f"2026-10-0{day} 00:00:00", profile_id=member, location_id=place, tags=tags)
            )
        )["id"]
        for day, (total, place, tags) in enumerate([(10, "A", ["x"]), (-5, "B", [{"handle": "Y"}]), (30, "A", [])], 1)
    ]
    await create_transaction(club, sale(1, profile_id=None))

    async def found(**query: str) -> list[int]:
        return [each["id"] for each in (await get_json(club, "transactions", **query))["data"]]

    assert await found(**{"filter[profile_id]": member, "sort": "-total"}) == [ids[2], ids[0], ids[1]]
    assert await found(**{"filter[location.external_id]": "a", "sort": "transacted_at"}) == [ids[0], ids[2]]
    assert await found(**{"filter[tags.handle][in]": "X,y", "sort": "transacted_at"}) == ids[:2]
    assert await found(**{"filter[transacted_at]": "2026-10-02", "filter[profile_id][nullable]": "0"}) == ids[1:]
    assert await found(**{"filter[total][lt]": "0"}) == [ids[1]]
    paged = await get_json(club, "transactions", **{"page[size]": "3", "page[number]": "2"})
    assert (paged["meta"]["total"], len(paged["data"])) == (4, 1)
    assert (await get_json(club, f"profiles/{member}/transactions"))["meta"]["total"] == 3
    found_one = await get_json(club, f"profiles/{member}/find-transactions", **{"filter[total][gt]": "20"})
    assert found_one["data"]["id"] == ids[2]
    await get_json(club, "transactions", 422, **{"filter[items]": "1"})


async def test_the_profile_and_the_products_can_be_included(club: Club) -> None:
    member = await create_profile(club, first_name="Ola")
    created = await create_transaction(
        club,
        sale(
            profile_id=member,
            items=[item_fields(product_variant={"sku": "S1", "product": {"name": "Wool socks"}}), item_fields()],
        ),
    )
    shown = (await get_json(club, f"transactions/{created['id']}", include="profile,product"))["data"]
    assert shown["profile"]["first_name"] == "Ola"
    assert [item["product"] and item["product"]["name"] for item in shown["items"]] == ["Wool socks", None]
    assert shown["items"][0]["price_sell"] == 50
    anonymous = await create_transaction(club, sale())
    assert (await get_json(club, f"transactions/{anonymous['id']}", include="profile"))["data"]["profile"] is None
    listed = await get_json(club, "transactions", include="profile")
    assert [each["profile"] and each["profile"]["id"] for each in listed["data"]] == [member, None]
    rejected = await get_json(club, "transactions", 422, include="unknown")
    assert rejected["errors"] == {"include": ["has the unknown name 'unknown'. Allowed: profile, product"]}
