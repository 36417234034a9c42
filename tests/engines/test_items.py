"""Items in JSON have the same discounts and brands on every engine and on the server, or all reject them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from api.transaction_client import V3, Json, create_profile, create_transaction, get_values, item_fields, sale
from clubs import Club
from engines.compute_fixtures import Compute
from regulars.offline.errors import InvalidInputError

AS_OF = "2026-11-01T00:00:00Z"
PRICE = {"price_current": 100, "price_sell": 100, "quantity": 1}

DISCOUNTS: list[tuple[Json, str]] = [
    ({}, "0.00"),
    ({"discount": 5}, "5.00"),
    ({"discount": 5, "discounts": None}, "5.00"),
    ({"discount": 5, "discounts": []}, "5.00"),
    ({"discount": 5, "discounts": [{"amount": 10}]}, "10.00"),
    ({"discount": 5, "discounts": [{"amount": 0}]}, "0.00"),
    ({"discounts": [{"name": 'for "us"', "amount": 1}, {"amount": "2.5"}]}, "3.50"),
    ({"discounts": [{"amount": 1}, {"amount": "\u00a02 "}]}, "3.00"),
]
"""Items of 100 with their percentage of discounts."""

INVALID_DISCOUNTS: list[Any] = [
    [{"amount": 1}, {}],
    [{"amount": None}],
    [{"amount": "x"}],
    [None],
    [5],
    [{"amount": 1}, 5],
    5,
    "x",
    {"amount": 1},
]

PRODUCTS: list[Json] = [
    {"external_id": "P1", "brand": "Ash", "variants": [{"sku": "A1"}, {"name": "none"}]},
    {"external_id": "P2", "brand": "Birch", "variants": [{"sku": "\u00a0B1 "}, {"sku": " "}]},
]
BRANDS: list[tuple[Json, list[str] | None]] = [
    ({"sku": "A1"}, ["Ash"]),
    ({"sku": " A1 "}, ["Ash"]),
    ({"sku": "\tA1\u00a0", "brand": "Cedar"}, ["Ash"]),
    ({"sku": "B1"}, ["Birch"]),
    ({"sku": " B1"}, ["Birch"]),
    ({"sku": " ", "brand": "Cedar"}, ["Cedar"]),
    ({"sku": " "}, []),
]
"""Items with their brands."""


def transactions(*items: Any) -> pa.Table:
    """A purchase of each item, as JSON, by a profile of its own."""
    ids = [f"{number:02}" for number in range(len(items))]
    return pa.table(
        {
            "external_id": ids,
            "profile": ids,
            "transacted_at": ["2026-10-01"] * len(ids),
            "total": ["100"] * len(ids),
            "items": [json.dumps([item]) for item in items],
        }
    )


def values_of(table: pa.Table, name: str) -> list[Any]:
    """The values of the profiles in their order."""
    return [row[name] for row in sorted(table.to_pylist(), key=lambda row: str(row["profile_id"]))]


def test_engines_take_the_discounts_of_an_item_before_its_discount(compute: Compute) -> None:
    table = transactions(*(PRICE | item for item, _ in DISCOUNTS))
    values = compute(transactions=table, as_of=AS_OF, values=["discount_avg"])
    assert [str(each) for each in values_of(values, "discount_avg")] == [expected for _, expected in DISCOUNTS]


async def test_the_server_takes_the_discounts_of_an_item_before_its_discount(club: Club) -> None:
    for item, expected in DISCOUNTS:
        profile = await create_profile(club)
        await create_transaction(club, sale(profile_id=profile, items=[item_fields(**(PRICE | item))]))
        assert f"{(await get_values(club, profile))['discount_avg']:.2f}" == expected, item


def test_engines_reject_invalid_discounts_of_items(compute: Compute) -> None:
    with pytest.raises(InvalidInputError) as error:
        compute(transactions=transactions(*({"discounts": each} for each in INVALID_DISCOUNTS)), as_of=AS_OF)
    assert str(error.value) == (
        "transactions.items.discounts must be a list of objects, or its JSON (3 rows, such as external_id '06'); "
        "transactions.items.discounts.amount must be a decimal with at most 6 decimal places, below 10^12 in absolute "
        "value (6 rows, such as external_id '00')."
    )


@pytest.mark.parametrize("discounts", INVALID_DISCOUNTS, ids=str)
async def test_the_server_rejects_invalid_discounts_of_items(club: Club, discounts: Any) -> None:
    answer = await create_transaction(club, sale(items=[item_fields(discounts=discounts)]), 422)
    assert all(path.startswith("items.0.discounts") for path in answer["errors"])


def test_engines_find_the_brand_of_a_sku_without_the_blanks_around_it(compute: Compute) -> None:
    products = pa.table(
        {name: [row[name] for row in PRODUCTS] for name in ("external_id", "brand")}
        | {"variants": [json.dumps(row["variants"]) for row in PRODUCTS]}
    )
    table = transactions(*(PRICE | item for item, _ in BRANDS))
    values = compute(transactions=table, products=products, as_of=AS_OF, values=["purchased_brands"])
    assert values_of(values, "purchased_brands") == [expected for _, expected in BRANDS]


async def test_the_server_finds_the_brand_of_a_sku_without_the_blanks_around_it(club: Club) -> None:
    for product in PRODUCTS:
        answer = await club.http.post(f"{V3}/products", json={"name": "A thing", **product})
        assert answer.status_code == 201, answer.text
    for item, expected in BRANDS:
        profile = await create_profile(club)
        await create_transaction(club, sale(profile_id=profile, items=[item_fields(**(PRICE | item))]))
        assert (await get_values(club, profile))["purchased_brands"] == expected, item


def test_engines_reject_items_among_which_are_others_than_objects(compute: Compute) -> None:
    with pytest.raises(InvalidInputError) as error:
        compute(transactions=transactions(None), as_of=AS_OF)
    assert str(error.value) == (
        "transactions.items must be a list of objects, or its JSON (1 row, such as external_id '00')."
    )
