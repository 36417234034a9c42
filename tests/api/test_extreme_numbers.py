"""A number with a huge exponent is rejected at its path, without other rows of its batch or import."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from api.reporting_client import reporting_client
from api.transaction_client import V3, create_profile, create_transaction, get_json, item_fields, sale
from clubs import Club, ManualClock
from regulars.geo.towns.files import TownFiles
from regulars.storage.database import Database

HUGE = ("1e999999999", '"1e999999999"', "-1e999999999", '"1e99999999999999999999"', "1e1000000")
NUMBERS = (
    *("total", "currency_rate", "total_original", "rounding", "margin"),
    *(f"items.0.{name}" for name in ("quantity", "price_sell", "price_current", "price_tax", "discount")),
    "items.0.discounts.0.amount",
)


def written(body: object, number: str) -> bytes:
    """A body as JSON in which the text HERE is replaced by a literal number."""
    return msgspec.json.encode(body).replace(b'"HERE"', number.encode())


def sale_with(name: str) -> dict[str, Any]:
    """A sale with HERE as one of its numbers."""
    if name.endswith("amount"):
        return sale(items=[item_fields(discounts=[{"amount": "HERE"}])])
    if name.startswith("items"):
        return sale(items=[item_fields(**{name.rpartition(".")[2]: "HERE"})])
    return sale(currency="EUR") | {name: "HERE"} if name == "currency_rate" else sale() | {name: "HERE"}


@pytest.mark.parametrize("name", NUMBERS)
async def test_a_huge_number_in_a_transaction_is_422_at_its_path(club: Club, name: str) -> None:
    for number in HUGE:
        answer = await club.http.post(f"{V3}/transactions", content=written(sale_with(name), number))
        assert answer.status_code == 422, (number, answer.text)
        assert next(iter(answer.json()["errors"])) in (name, name.rpartition(".")[0]), (number, answer.text)


async def test_a_huge_number_in_a_claim_is_422_at_its_path(club: Club) -> None:
    claim = {
        "transaction_receipt_ref": "r",
        "transaction_transacted_at": "2026-10-01 12:00:00",
        "transaction_timezone": "UTC",
        "transaction_total": "HERE",
        "transaction_location_external_code": "L",
    }
    at = f"{V3}/profiles/{await create_profile(club)}/transactions/claims"
    for number in HUGE:
        answer = await club.http.post(at, content=written(claim, number))
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["transaction_total"]), answer.text


@pytest.mark.parametrize("number", ["1e999999999", "0e999999999", "1e-999999999", "0." + "1" * 400, "9" * 5000])
async def test_a_huge_number_in_uninterpreted_json_is_422(club: Club, number: str) -> None:
    for name in ("meta", "payments", "tags"):
        answer = await club.http.post(f"{V3}/transactions", content=written(sale(**{name: ["HERE"]}), number))
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [name]), answer.text


async def test_a_row_with_a_huge_number_is_rejected_without_the_other_rows_of_its_batch(club: Club) -> None:
    rows = [sale(external_id="a"), sale("HERE", external_id="b"), sale(external_id="c")]
    for number in HUGE:
        body = written({"transactions": rows}, number)
        answer = (await club.http.post(f"{V3}/transactions/batch.json", content=body)).json()["data"]
        assert [each["index"] for each in answer["rejected"] if "total" in each["errors"]] == [1]
    assert {each["external_id"] for each in (await get_json(club, "transactions"))["data"]} == {"a", "c"}


async def test_a_row_with_invalid_utf8_is_rejected_without_the_other_rows_of_its_batch(club: Club) -> None:
    rows = [sale(external_id="a"), sale(external_id="HERE")]
    body = written({"transactions": rows}, '"HERE"').replace(b"HERE", b"\xff")
    answer = await club.http.post(f"{V3}/transactions/batch.json", content=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["data"]["accepted"], len(answer.json()["data"]["rejected"])) == (1, 1)


async def test_a_lone_surrogate_is_an_error_of_its_field_only(club: Club) -> None:
    for half in (r'"\ud83d"', r'"a\ude00b"', r'"\ude00\ud83d"', r'"\\\ud83d"'):
        answer = await club.http.post(f"{V3}/transactions", content=written(sale(receipt_ref="HERE"), half))
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["receipt_ref"]), answer.text
    for whole, text in ((r'"\ud83d\ude00"', "\U0001f600"), (r'"\\ud83d"', r"\ud83d")):
        answer = await club.http.post(f"{V3}/transactions", content=written(sale(receipt_ref="HERE"), whole))
        assert answer.json()["data"]["receipt_ref"] == text
    rows = [sale(external_id="a"), sale(external_id="b", order_number="HERE")]
    body = written({"transactions": rows}, r'"\ud83d"')
    found = (await club.http.post(f"{V3}/transactions/batch.json", content=body)).json()["data"]
    assert (found["accepted"], list(found["rejected"][0]["errors"])) == (1, ["order_number"])


@pytest.mark.parametrize("kind", ["text/csv", "application/x-ndjson"])
async def test_a_row_with_a_huge_number_is_rejected_without_the_other_rows_of_its_import(club: Club, kind: str) -> None:
    rows = [("a", "5"), ("b", "1e999999999"), ("c", "6")]
    if kind == "text/csv":
        lines = [
            "external_id,profile,transacted_at,total",
            *(f"{name},,2026-10-01T12:00:00Z,{total}" for name, total in rows),
        ]
    else:
        lines = [
            f'{{"external_id":"{name}","transacted_at":"2026-10-01T12:00:00Z","total":{total}}}' for name, total in rows
        ]
    headers = {"Content-Type": kind}
    answer = await club.http.post("/v1/import/transactions", content="\n".join(lines), headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["accepted"], found["rejected"]) == (2, 1)
    assert list(found["rejections"][0]["errors"]) == ["total"]


@pytest.mark.parametrize("text", ["1e999999999", "-1e999999999", "1e-999999999", "9" * 5_000, "1e999999999999999999"])
async def test_a_filter_by_a_huge_number_is_422(club: Club, text: str) -> None:
    await create_transaction(club, sale())
    rejected = await get_json(club, "transactions", 422, **{"filter[total][lt]": text})
    assert list(rejected["errors"]) == ["total"]


async def test_a_filter_by_a_large_number_is_accepted(club: Club) -> None:
    await create_transaction(club, sale())
    assert len((await get_json(club, "transactions", **{"filter[total][lt]": "1e99"}))["data"]) == 1
    assert (await get_json(club, "transactions", **{"filter[total][gt]": "1e99"}))["data"] == []


@pytest.mark.parametrize("number", [*HUGE, "9" * 400, "-" + "9" * 4000, "1e400", "0e999999999999999999999"])
async def test_huge_coordinates_are_422(database: Database, clock: ManualClock, atlas: TownFiles, number: str) -> None:
    async with reporting_client(database, clock, atlas=atlas) as reporting:
        body = written({"query": "Oslo", "near": {"lat": "HERE", "lng": 10}}, number)
        answer = await reporting.query(body, path="/v1/reporting/geo/places")
        assert (answer.status_code, list(answer.json()["details"])) == (422, ["near"]), answer.text


async def test_numbers_in_uninterpreted_json_are_returned_unchanged(club: Club) -> None:
    body = written(sale(meta={"a": "HERE"}), "1.5e300")
    created = (await club.http.post(f"{V3}/transactions", content=body)).json()["data"]
    assert Decimal(str(created["meta"]["a"])) == Decimal("1.5e300")


@pytest.mark.parametrize("barcode", ["5901234123457", 5901234123457])
async def test_a_barcode_is_a_string_or_an_integer(club: Club, barcode: str | int) -> None:
    variant = {"sku": "S-1", "name": "Tea", "barcode": barcode}
    rows = [{"title": "Tea", "external_id": "P-1", "variants": [variant]}, {"title": "Cup", "external_id": "P-2"}]
    answer = await club.http.post("/api/v3/products/batch.json", json={"products": rows})
    assert (answer.status_code, answer.json()["data"]["accepted"]) == (200, 2), answer.text
    stored = (await club.http.get("/api/v3/products?filter[external_id]=P-1")).json()["data"][0]["variants"][0]
    assert stored["barcode"] == "5901234123457"


async def test_coordinates_sent_as_strings_are_returned_as_numbers(club: Club) -> None:
    address = {"latitude": "-0", "longitude": " "}
    answer = await club.http.post("/api/v3/profiles", json={"addresses": [address]})
    (stored,) = answer.json()["data"]["addresses"]
    assert (stored["latitude"], stored["longitude"]) == (0, None)
    assert not isinstance(stored["latitude"], str)
