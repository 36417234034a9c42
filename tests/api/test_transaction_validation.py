"""Invalid transactions are rejected by the path of the field, and nothing of them is stored."""

from typing import Any

import pytest

from api.transaction_client import (
    V3,
    create_profile,
    create_transaction,
    fill_spend,
    get_json,
    item_fields,
    sale,
    shop_count_and_spend,
    update_transaction,
)
from clubs import Club

_TIME = "must be a time in the years 1900 to 2999"


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"total": "NaN"}, "total", "must be a number"),
        ({"total": "sNaN"}, "total", "must be a number"),
        ({"total": "-Infinity"}, "total", "must be a number"),
        ({"total": "9" * 30}, "total", "must be below 1000000000000 in size"),
        ({"total": "0." + "1" * 30}, "total", "must have at most 6 decimals"),
        ({"total": "1e999999"}, "total", "must be below 1000000000000 in size"),
        ({"transacted_at": "0000-01-01 00:00:00"}, "transacted_at", None),
        ({"transacted_at": "10000-01-01 00:00:00"}, "transacted_at", None),
        ({"transacted_at": "1899-12-31 23:59:59"}, "transacted_at", _TIME),
        ({"transacted_at": "0001-01-01T00:00:00+10:00"}, "transacted_at", _TIME),
        ({"transacted_at": "soon"}, "transacted_at", None),
        ({"timezone": "Mars/Olympus"}, "timezone", "must be an IANA time zone such as Europe/Oslo"),
        ({"timezone": "../etc"}, "timezone", "must be an IANA time zone such as Europe/Oslo"),
        ({"currency": "XXZ"}, "currency", "must be an ISO 4217 currency such as NOK"),
        ({"currency": "EUR"}, "currency_rate", "must be above 0: EUR is not the community's NOK"),
        ({"currency": "EUR", "currency_rate": 0}, "currency_rate", "must be above 0: EUR is not the community's NOK"),
        ({"currency": "EUR", "currency_rate": "NaN"}, "currency_rate", None),
        ({"currency": "EUR", "currency_rate": "1e-20"}, "currency_rate", "must have at most 12 decimals"),
        (
            {"total": "999999999999", "currency": "EUR", "currency_rate": 9000000},
            "currency_rate",
            "must be below 1000000000000 in size",
        ),
        ({"profile_id": "a" * 256}, "profile_id", None),
        ({"systems": ["a,b"]}, "systems", "must be at most 20 names without commas"),
        ({"systems": ["a"] * 21}, "systems", "must be at most 20 names without commas"),
        ({"systems": ["x" * 65]}, "systems.0", None),
        ({"is_void": "perhaps"}, "is_void", None),
        ({"tags": {"a": 1}}, "tags", "must be a list"),
        ({"tags": "vip"}, "tags", "must be a list"),
        ({"meta": 3}, "meta", "must be a list or an object"),
        ({"meta": {"a": [1] * 70_000}}, "meta", "must be at most 65536 bytes of JSON"),
        ({"items": [item_fields()] * 2001}, "items", "must be at most 2000"),
        ({"items": [item_fields(quantity="1e7")]}, "items.0.quantity", "must be below 10000000 in size"),
        ({"items": [item_fields(price_sell="x")]}, "items.0.price_sell", None),
        ({"items": [item_fields(id=2**63)]}, "items.0.id", None),
        ({"items": [item_fields(product_variant_id=2**63)]}, "items.0.product_variant_id", None),
        ({"items": [item_fields(product_variant_id=0)]}, "items.0.product_variant_id", None),
        ({"items": [item_fields(product_id=987654321)]}, "items.0.product_id", "there is no product 987654321"),
        (
            {"items": [item_fields(product_variant_id=987654321)]},
            "items.0.product_variant_id",
            "there is no product variant 987654321",
        ),
        (
            {"items": [item_fields(discounts=[{"name": "x"}])]},
            "items.0.discounts.0",
            "must be an object with an amount",
        ),
        ({"items": [item_fields(discounts=[5])]}, "items.0.discounts.0", "must be an object with an amount"),
        ({"items": [item_fields(discounts=[{"amount": "NaN"}])]}, "items.0.discounts.0.amount", "must be a number"),
        (
            {"items": [item_fields(discounts=[{"amount": 1, "name": "\0"}])]},
            "items.0.discounts.0",
            "must not hold a NUL character",
        ),
        ({"items": [item_fields(discount="1e99")]}, "items.0.discount", "must be below 1000000000000 in size"),
        ({"items": [item_fields(tags={})]}, "items.0.tags", "must be a list"),
    ],
)
async def test_invalid_input_is_422_at_its_path(
    club: Club, body: dict[str, Any], path: str, message: str | None
) -> None:
    rejected = await create_transaction(club, sale() | body, 422)
    assert list(rejected["errors"]) == [path]
    if message is not None:
        assert rejected["errors"][path] == [message]
    assert (await get_json(club, "transactions"))["data"] == []


_NUL = "must not hold a NUL character"


@pytest.mark.parametrize(
    "name",
    [
        *("external_id", "profile_id", "location_id", "receipt_ref", "linked_receipt_ref"),
        *("type", "status", "order_number"),
    ],
)
async def test_nul_is_422_in_every_text(club: Club, name: str) -> None:
    rejected = await create_transaction(club, sale(**{name: "a\0b"}), 422)
    assert rejected["errors"][name][0] in (_NUL, "must be a UUID; name another identity by profile_id_handle")


@pytest.mark.parametrize("name", ["name", "external_id", "sku", "brand"])
async def test_nul_is_422_in_every_text_of_an_item(club: Club, name: str) -> None:
    rejected = await create_transaction(club, sale(items=[item_fields(**{name: "a\0b"})]), 422)
    assert rejected["errors"] == {f"items.0.{name}": [_NUL]}


@pytest.mark.parametrize("name", ["tags", "payments", "meta"])
async def test_nul_is_422_deep_in_json(club: Club, name: str) -> None:
    assert (await create_transaction(club, sale(**{name: [{"a": ["\0"]}]}), 422))["errors"] == {name: [_NUL]}
    assert (await create_transaction(club, sale(**{name: [{"\0": 1}]}), 422))["errors"] == {name: [_NUL]}
    assert (await create_transaction(club, sale(profile_id="x", profile_id_handle="a\0"), 422))["errors"] == {
        "profile_id_handle": [_NUL]
    }


async def test_malformed_json_is_400(club: Club) -> None:
    async def sent(content: bytes) -> int:
        answer = await club.http.post(f"{V3}/transactions", content=content)
        return answer.status_code

    whole = b'{"total":1,"transacted_at":"2026-10-01","timezone":"UTC","items":[],%s}'
    assert await sent(whole % b'"meta":{"a":1e400}') == 422
    assert await sent(whole % b'"meta":{"a":"\xff"}') == 422
    assert await sent(whole % b'"location":"\xff"') == 422
    assert await sent(whole % b'"items":[{"discounts":["\xff"]}]') == 422
    assert await sent(whole % b'"meta":"\\ud800"') in (400, 422)
    assert await sent(whole % b'"external_id":1e400') == 422
    assert await sent(whole % (b'"external_id":' + b"9" * 5000)) == 422
    assert await sent(whole % (b'"meta":' + b"[" * 100_000 + b"]" * 100_000)) == 413
    assert await sent(whole % (b'"meta":' + b"[" * 40_000 + b"]" * 40_000)) in (400, 422)
    assert await sent(b"NaN") == 400
    assert await sent(b"[]") == 422
    assert await sent(b"") == 400
    assert (await get_json(club, "transactions"))["data"] == []


async def test_a_total_may_have_an_exponent(club: Club) -> None:
    assert (await create_transaction(club, sale("1E+11")))["total"] == 100_000_000_000
    assert (await create_transaction(club, sale("0E+99999")))["total"] == 0
    assert (await create_transaction(club, sale("-12.5e1")))["total"] == -125


async def test_a_negative_quantity_is_a_returned_item(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale(-50, profile_id=member, items=[item_fields(quantity=-1, brand="X")]))
    assert created["items"][0]["quantity"] == -1
    assert (await get_json(club, f"profiles/{member}/aggregations"))["data"]["purchased_brands"] == []


async def test_values_that_exceed_their_column_are_422(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale(profile_id=member))
    await fill_spend(club, member, headroom=15_000)
    rejected = await create_transaction(club, sale(profile_id=member), 422)
    assert "makes a value of its profile too large" in rejected["message"]
    rejected = await update_transaction(
        club, created, 422, total=200, delete_existing_items=True, items=[item_fields(quantity=7)]
    )
    assert "makes a value of its profile too large" in rejected["message"]
    assert await shop_count_and_spend(club, member) == (2, 101)
    assert (await get_json(club, f"transactions/{created['id']}"))["data"]["items"][0]["quantity"] == 2
