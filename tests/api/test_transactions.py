"""Transactions come in one by one, change, and go; the values of their profiles follow."""

from decimal import Decimal

import pytest

from api.transaction_calls import V3, change, line, make, profile, read, sale, spend, values
from clubs import Club


async def test_a_transaction_is_shown_as_it_was_sent(club: Club) -> None:
    member = await profile(club)
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
            line(
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
    made = await make(club, sent)
    shown = (await read(club, f"transactions/{made['id']}"))["data"]
    assert shown.pop("created_at") == shown.pop("updated_at") == "2026-11-01 00:00:00"
    (item,) = shown.pop("items")
    location = shown.pop("location")
    assert shown == {
        "id": made["id"],
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
        "transaction_id": made["id"],
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


async def test_what_was_made_is_answered_in_full(club: Club) -> None:
    made = await make(club, sale(external_id="R-1"))
    shown = (await club.http.get(f"{V3}/transactions/{made['id']}")).json()["data"]
    assert made == shown
    assert made == (await club.http.get(f"{V3}/transactions/external/R-1")).json()["data"]


async def test_what_a_new_transaction_must_have_is_told_by_path(club: Club) -> None:
    refused = await make(club, {"items": [{"name": "Socks"}]}, 422)
    assert refused["errors"] == {
        "timezone": ["is required"],
        "total": ["is required"],
        "transacted_at": ["is required"],
        "items.0.price_current": ["is required"],
        "items.0.price_sell": ["is required"],
        "items.0.quantity": ["is required"],
    }
    assert list((await make(club, sale() | {"items": None}, 422))["errors"]) == ["items"]


# Values ------------------------------------------------------------------------------------------------


async def test_a_sale_and_a_return_show_in_the_values_at_once(club: Club) -> None:
    member = await profile(club)
    await make(club, sale("100.00", profile_id=member))
    assert await spend(club, member) == (1, Decimal("100.00"))
    await make(club, sale("-40.00", "2026-10-20 12:00:00", profile_id=member))
    assert await spend(club, member) == (1, Decimal("60.00"))
    assert (await values(club, member))["spend_last_date"] == "2026-10-20 12:00:00"


async def test_voiding_and_taking_back_the_void(club: Club) -> None:
    member = await profile(club)
    made = await make(club, sale(profile_id=member))
    await change(club, made, is_void=True)
    assert await spend(club, member) == (0, Decimal("0.00"))
    await change(club, made, is_void=True)
    assert await spend(club, member) == (0, Decimal("0.00"))
    await change(club, made, is_void=False)
    assert await spend(club, member) == (1, Decimal("100.00"))


async def test_a_changed_total_and_time_show_in_the_values(club: Club) -> None:
    member = await profile(club)
    made = await make(club, sale(profile_id=member))
    changed = await change(club, made, total="80.25", transacted_at="2025-01-01T01:00:00+02:00")
    assert (changed["total"], changed["transacted_at"]) == (80.25, "2024-12-31 23:00:00")
    found = await values(club, member)
    assert (found["spend_all"], found["spend_12m"]) == (Decimal("80.25"), Decimal("0.00"))
    assert (found["dimension_recency"], found["spend_first_date"]) == ("RI", "2024-12-31 23:00:00")


async def test_a_back_dated_sale_becomes_the_first(club: Club) -> None:
    member = await profile(club)
    await make(club, sale(profile_id=member, location_id="A"))
    await make(club, sale(100, "2026-01-01 00:00:00", profile_id=member, location_id="B"))
    found = await values(club, member)
    assert (found["store_join"]["external_id"], found["first_shop_date"]) == ("B", "2026-01-01")


async def test_a_deleted_transaction_is_gone_from_the_values(club: Club) -> None:
    member = await profile(club)
    made = await make(club, sale(profile_id=member))
    assert (await club.http.delete(f"{V3}/transactions/{made['id']}")).status_code == 204
    assert await spend(club, member) == (0, Decimal("0.00"))
    assert (await club.http.get(f"{V3}/transactions/{made['id']}")).status_code == 404
    assert (await club.http.get(f"{V3}/transactions/{made['id']}/items")).status_code == 404
    assert (await club.http.delete(f"{V3}/transactions/{made['id']}")).status_code == 404


async def test_a_transaction_of_nobody_is_no_ones_to_recount(club: Club) -> None:
    made = await make(club, sale())
    assert (await change(club, made, total=7))["total"] == 7
    assert (await club.http.delete(f"{V3}/transactions/{made['id']}")).status_code == 204


async def test_another_profile_takes_a_transaction_over(club: Club) -> None:
    first, second = await profile(club), await profile(club)
    made = await make(club, sale(profile_id=first))
    await change(club, made, profile_id=second)
    assert await spend(club, first) == (0, Decimal("0.00"))
    assert await spend(club, second) == (1, Decimal("100.00"))
    assert (await change(club, made, profile_id=None))["profile_id"] is None
    assert await spend(club, second) == (0, Decimal("0.00"))
    await change(club, made, profile_id=second)
    assert await spend(club, second) == (1, Decimal("100.00"))


async def test_a_foreign_currency_is_counted_at_its_rate(club: Club) -> None:
    member = await profile(club)
    made = await make(club, sale("10.01", profile_id=member, currency="eur", currency_rate="11.5"))
    assert (made["total"], made["currency"], made["currency_rate"]) == (10.01, "EUR", 11.5)
    assert (await values(club, member))["spend_all"] == Decimal("115.12")
    await change(club, made, currency="NOK")
    assert (await values(club, member))["spend_all"] == Decimal("10.01")


# Whose it is -------------------------------------------------------------------------------------------


async def test_a_profile_is_named_by_id_email_or_identity(club: Club) -> None:
    member = await profile(club, email="Ola@example.no", identities=[{"handle": "shopify", "identifier": "77"}])
    for ref in (
        {"profile_id": member.upper()},
        {"profile_id": "ola@EXAMPLE.no", "profile_id_handle": "email"},
        {"profile_id": 77, "profile_id_handle": "shopify"},
    ):
        assert (await make(club, sale(**ref)))["profile_id"] == member
    assert await spend(club, member) == (3, Decimal("300.00"))


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
async def test_an_unknown_profile_is_refused(club: Club, ref: dict[str, str], message: str) -> None:
    refused = await make(club, sale(location_id="new", **ref), 422)
    assert refused["errors"] == {"profile_id": [message]}
    # Nothing was made on its way.
    assert (await read(club, "locations"))["data"] == []


# Where it was ------------------------------------------------------------------------------------------


async def test_a_location_is_meant_by_its_id_then_by_its_external_id(club: Club) -> None:
    first = (await make(club, sale(location_id="A")))["location_id"]
    assert (await make(club, sale(location_id="A")))["location_id"] == first
    assert (await make(club, sale(location_id=first)))["location_id"] == first
    assert (await make(club, sale(location_id=str(first))))["location_id"] == first
    assert [each["external_id"] for each in (await read(club, "locations"))["data"]] == ["A"]


async def test_a_changed_location_is_another_place_in_the_values(club: Club) -> None:
    member = await profile(club)
    made = await make(club, sale(profile_id=member, location_id="A"))
    await change(club, made, location_id="B")
    assert (await values(club, member))["store_join"]["external_id"] == "B"
    assert (await change(club, made, location_id=None))["location"] is None
    assert (await values(club, member))["store_join"] is None


async def test_a_deleted_location_stays_with_what_was_sold_there(club: Club) -> None:
    made = await make(club, sale(location_id="A"))
    assert (await club.http.delete(f"{V3}/locations/{made['location_id']}")).status_code == 204
    changed = await change(club, made, **(made | {"total": 5}))
    assert (changed["total"], changed["location_id"]) == (5, made["location_id"])


# Changing ----------------------------------------------------------------------------------------------


async def test_what_was_read_changes_nothing_when_it_is_sent_back(club: Club) -> None:
    member = await profile(club)
    sent = sale(
        "100.50",
        "2026-10-01T12:00:00.123456+00:00",
        external_id="R-1",
        profile_id=member,
        location_id="M10",
        systems=["pos", "web"],
        tags=["vip"],
        meta={"till": 3},
        currency="EUR",
        currency_rate="11.5",
        items=[
            line(product_variant={"sku": "S1", "name": "Socks", "product": {"name": "Socks", "brand": "A"}}),
            line(sku="S2", discounts=[{"amount": "1.10", "name": "Spring"}]),
        ],
    )
    made = await make(club, sent)
    before = await values(club, member)
    await club.http.delete(f"{V3}/products/{made['items'][0]['product_id']}")
    read_before = (await read(club, f"transactions/{made['id']}", include="profile,product"))["data"]
    club.clock.step(hours=1)
    answer = await club.http.get(f"{V3}/transactions/{made['id']}", params={"include": "profile,product"})
    changed = await change(club, made, **answer.json()["data"])
    assert changed["updated_at"] == "2026-11-01 01:00:00"
    read_after = (await read(club, f"transactions/{made['id']}", include="profile,product"))["data"]
    for shown in (read_before, read_after):
        del shown["updated_at"]
        for item in shown["items"]:
            del item["updated_at"]
    assert read_after == read_before
    assert await values(club, member) | {"calculated_at": ""} == before | {"calculated_at": ""}
    async with club.database.reading(club.community.id) as scope:
        at = await scope.fetchval("SELECT transacted_at FROM transactions WHERE id = $1", made["id"])
    assert at.microsecond == 123456


async def test_absent_fields_stay_and_null_clears(club: Club) -> None:
    made = await make(
        club, sale(external_id="R-1", receipt_ref="r1", tags=["vip"], meta={"a": 1}, systems=["pos"], margin=3)
    )
    assert {**await change(club, made), "updated_at": ""} == {**made, "updated_at": ""}
    cleared = await change(
        club,
        made,
        external_id=None,
        receipt_ref=None,
        tags=None,
        meta=None,
        systems=None,
        margin=None,
        timezone=None,
        is_void=None,
        items=None,
    )
    assert [
        cleared[name]
        for name in ("external_id", "receipt_ref", "tags", "meta", "systems", "margin", "timezone", "is_void")
    ] == [None, None, [], None, [], None, None, False]
    assert len(cleared["items"]) == 1


async def test_a_total_and_a_time_can_not_be_cleared(club: Club) -> None:
    made = await make(club, sale())
    assert (await change(club, made, 422, total=None))["errors"] == {"total": ["is required"]}
    assert list((await change(club, made, 422, transacted_at=None))["errors"]) == ["transacted_at"]


async def test_an_external_id_is_one_transaction_s(club: Club) -> None:
    first, second = await make(club, sale(external_id="A")), await make(club, sale(external_id=7))
    refused = await make(club, sale(external_id="A"), 422)
    assert refused["errors"] == {
        "external_id": [f"is taken by transaction {first['id']}: change that one by PUT or update-create"]
    }
    refused = await change(club, second, 422, external_id="A")
    assert refused["errors"] == {"external_id": ["is taken by another transaction: choose one that is free"]}
    assert (await read(club, "transactions/external/7"))["data"]["id"] == second["id"]


async def test_what_is_not_there_can_not_be_changed(club: Club) -> None:
    for path in ("transactions/1", "transactions/x", "transactions/external/x", "transactions/99999999999999999999"):
        await read(club, path, 404)
    await change(club, {"id": 1}, 404)


async def test_another_community_s_transactions_are_not_there(club: Club, other_club: Club) -> None:
    made = await make(club, sale(external_id="A"))
    member = await profile(other_club)
    for path in (f"transactions/{made['id']}", "transactions/external/A", f"transactions/{made['id']}/items"):
        await read(other_club, path, 404)
    await change(other_club, made, 404)
    assert (await other_club.http.delete(f"{V3}/transactions/{made['id']}")).status_code == 404
    assert (await make(club, sale(profile_id=member), 422))["errors"] == {
        "profile_id": [f"there is no profile {member}"]
    }
    # The same external id and the same id may be used in both.
    assert (await make(other_club, sale(external_id="A", id=made["id"])))["id"] != made["id"]


# Lists -------------------------------------------------------------------------------------------------


async def test_lists_are_filtered_sorted_and_paged(club: Club) -> None:
    member = await profile(club, first_name="Ola")
    ids = [
        (await make(club, sale(total, f"2026-10-0{day} 00:00:00", profile_id=member, location_id=place, tags=tags)))[
            "id"
        ]
        for day, (total, place, tags) in enumerate([(10, "A", ["x"]), (-5, "B", [{"handle": "Y"}]), (30, "A", [])], 1)
    ]
    await make(club, sale(1, profile_id=None))

    async def found(**query: str) -> list[int]:
        return [each["id"] for each in (await read(club, "transactions", **query))["data"]]

    assert await found(**{"filter[profile_id]": member, "sort": "-total"}) == [ids[2], ids[0], ids[1]]
    assert await found(**{"filter[location.external_id]": "a", "sort": "transacted_at"}) == [ids[0], ids[2]]
    assert await found(**{"filter[tags.handle][in]": "X,y", "sort": "transacted_at"}) == ids[:2]
    assert await found(**{"filter[transacted_at]": "2026-10-02", "filter[profile_id][nullable]": "0"}) == ids[1:]
    assert await found(**{"filter[total][lt]": "0"}) == [ids[1]]
    paged = await read(club, "transactions", **{"page[size]": "3", "page[number]": "2"})
    assert (paged["meta"]["total"], len(paged["data"])) == (4, 1)
    assert (await read(club, f"profiles/{member}/transactions"))["meta"]["total"] == 3
    assert [
        each["id"]
        for each in (await read(club, f"profiles/{member}/find-transactions", **{"filter[total][gt]": "20"}))["data"]
    ] == [ids[2]]
    await read(club, "transactions", 422, **{"filter[items]": "1"})


async def test_the_profile_and_the_products_can_be_included(club: Club) -> None:
    member = await profile(club, first_name="Ola")
    made = await make(
        club,
        sale(
            profile_id=member,
            items=[line(product_variant={"sku": "S1", "product": {"name": "Wool socks"}}), line()],
        ),
    )
    shown = (await read(club, f"transactions/{made['id']}", include="profile,product"))["data"]
    assert shown["profile"]["first_name"] == "Ola"
    assert [item["product"] and item["product"]["name"] for item in shown["items"]] == ["Wool socks", None]
    assert shown["items"][0]["price_sell"] == 50
    anonymous = await make(club, sale())
    assert (await read(club, f"transactions/{anonymous['id']}", include="profile"))["data"]["profile"] is None
    listed = await read(club, "transactions", include="profile")
    assert [each["profile"] and each["profile"]["id"] for each in listed["data"]] == [member, None]
    refused = await read(club, "transactions", 422, include="nobody")
    assert refused["errors"] == {"include": ["knows no 'nobody'; there is: profile, product"]}


# Changing or making ------------------------------------------------------------------------------------


async def test_update_create_matches_the_external_id_then_the_id_else_makes(club: Club) -> None:
    async def sent(**body: object) -> tuple[int, int, float]:
        answer = await club.http.post(f"{V3}/transactions/update-create", json=body)
        assert answer.status_code in (200, 201), answer.text
        shown = answer.json()["data"]
        return answer.status_code, shown["id"], shown["total"]

    status, made, _ = await sent(**sale(external_id="A"))
    assert status == 201
    assert await sent(external_id="A", total=70) == (200, made, 70)
    assert await sent(id=str(made), external_id="B", total=60) == (200, made, 60)
    other = (await make(club, sale(external_id="A")))["id"]
    assert await sent(id=made, external_id="A", total=50) == (200, other, 50)
    status, third, _ = await sent(**sale(external_id="C", id=123456789))
    assert status == 201
    assert third not in (made, other)
    answer = await club.http.post(f"{V3}/transactions/update-create", json={"external_id": "D", "total": 1})
    assert answer.status_code == 422
    answer = await club.http.post(f"{V3}/transactions/update-create", json={"external_id": "\0"})
    assert answer.json()["errors"] == {"external_id": ["must not hold a NUL character"]}
