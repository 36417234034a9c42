"""The response to a new transaction is what a later request reads, though it is built without reading the transaction."""

from typing import Any

from api.transaction_client import V3, create_profile, create_transaction, get_json, item_fields, sale
from clubs import Club
from regulars.model.transactions.schema import TRANSACTIONS

FORMS: dict[str, dict[str, Any]] = {
    "without items": {"items": []},
    "with a known location": {"location_id": "M1"},
    "with a new location": {"location_id": "new"},
    "in another currency": {"currency": "EUR", "currency_rate": "10.123456789", "total": "1.50"},
    "in the currency of the community": {"currency": "NOK", "currency_rate": 3},
    "void": {"is_void": True},
    "with systems": {"systems": ["pos", "Web shop", "ø"]},
    "with an empty system": {"systems": [""]},
    "with numbers in other forms": {"total": "-0.00", "items": [item_fields(quantity="2.500", price_tax="-0.0")]},
    "with a large number": {"total": "1E+6", "items": [item_fields(price_original=1e7, price_sell="0.000001")]},
    "with ids": {"external_id": " 7 ", "receipt_ref": 'r"1\\', "items": [item_fields(external_id=9, name='"\\')]},
    "with a known variant": {"items": [item_fields(sku="S1", brand="Acme"), item_fields(sku="none"), item_fields()]},
    "with a new variant": {"items": [item_fields(product_variant={"sku": "S2", "product": {"name": "Hat"}})]},
    "with fractions of a second": {"transacted_at": "2026-10-01T12:00:00.999999+02:00", "timezone": "Europe/Oslo"},
    "with details": {"status": "paid", "tags": ["x"], "meta": {"b": 1, "a": 2.50}},
    "with details of items": {"items": [item_fields(tags=["x"]), item_fields()]},
    "with discounts": {"items": [item_fields(discounts=[{"amount": "5.50"}])]},
}


async def test_each_form_is_answered_as_it_is_read(club: Club) -> None:
    member = await create_profile(club)
    await club.http.post(f"{V3}/locations", json={"external_id": "M1", "name": "Main", "type": "physical"})
    await create_transaction(
        club, sale(items=[item_fields(product_variant={"sku": "S1", "product": {"name": "Boot"}})])
    )
    for name, fields in FORMS.items():
        body = sale() | {"profile_id": member} | fields
        answer = await club.http.post(f"{V3}/transactions", json=body)
        assert answer.status_code == 201, (name, answer.text)
        created = answer.json()["data"]
        read = (await club.http.get(f"{V3}/transactions/{created['id']}")).json()["data"]
        assert created == read, name
        assert list(created) == list(read) == [each.name for each in TRANSACTIONS.fields if each.is_visible], name
        assert [list(each) for each in created["items"]] == [list(each) for each in read["items"]], name


async def test_transactions_without_profile_are_read(club: Club) -> None:
    created = await create_transaction(club, sale(receipt_ref="r1", external_id="A"))
    assert created["profile_id"] is None
    assert (
        created["items"][0]["id"] == (await get_json(club, f"transactions/{created['id']}"))["data"]["items"][0]["id"]
    )
