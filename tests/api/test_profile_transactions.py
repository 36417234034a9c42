"""The transactions of one profile: as a list, by local date and by product; for a club and for the member."""

from decimal import Decimal

from api.transaction_client import (
    V3,
    Json,
    create_profile,
    create_transaction,
    get_json,
    item_fields,
    sale,
    update_transaction,
)
from clubs import Club

OWN = "/id/api/v1/profiles/me"


async def own(club: Club, member: str, path: str, **query: str) -> Json:
    answer = await club.http.post("/id/api/v1/auth/token", json={"id": member})
    token = answer.json()["data"]["token"]
    answer = await club.http.get(f"{OWN}/{path}", params=query, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def shopping(club: Club) -> str:
    member = await create_profile(club)
    boots = {"sku": "S1", "product": {"name": "Boots", "brand": "X"}}
    await create_transaction(
        club,
        sale(
            "100.10",
            "2026-10-01 23:30:00",
            profile_id=member,
            timezone="Europe/Oslo",
            items=[item_fields(product_variant=boots)],
        ),
    )
    await create_transaction(
        club,
        sale(
            "-10.00",
            "2026-10-02 10:00:00",
            profile_id=member,
            items=[item_fields(sku="S1", quantity=3), item_fields(quantity=-1)],
        ),
    )
    voided = await create_transaction(
        club, sale(50, "2026-10-02 11:00:00", profile_id=member, items=[item_fields(sku="S1", quantity=100)])
    )
    await update_transaction(club, voided, is_void=True)
    await create_transaction(
        club, sale(7, "2026-09-01 10:00:00", profile_id=member, items=[item_fields(name="Soap", sku="S7", brand="Y")])
    )
    await create_transaction(club, sale(1000))
    return member


async def test_transactions_are_grouped_by_local_date(club: Club) -> None:
    member = await shopping(club)
    found = await get_json(club, f"profiles/{member}/group_transactions", include="profile")
    assert [(day["date"], day["total"], day["transactions_count"]) for day in found["data"]] == [
        ("2026-10-02", Decimal("90.10"), 3),
        ("2026-09-01", Decimal("7.00"), 1),
    ]
    assert [each["total"] for each in found["data"][0]["transactions"]] == [50, Decimal("-10.00"), Decimal("100.10")]
    assert found["data"][1]["transactions"][0]["profile"]["id"] == member
    assert found["meta"]["total"] == 2
    second = await get_json(club, f"profiles/{member}/group_transactions", **{"page[size]": "1", "page[number]": "2"})
    assert [day["date"] for day in second["data"]] == ["2026-09-01"]
    filtered = await get_json(club, f"profiles/{member}/group_transactions", **{"filter[total][lt]": "10"})
    assert [day["total"] for day in filtered["data"]] == [Decimal("-10.00"), Decimal("7.00")]
    beyond = await get_json(club, f"profiles/{member}/group_transactions", **{"page[number]": "9"})
    assert (beyond["data"], beyond["meta"]["total"]) == ([], 2)


async def test_purchased_products_are_listed(club: Club) -> None:
    member = await shopping(club)
    found = await get_json(club, f"profiles/{member}/transaction-products", sort="-quantity")
    assert [
        (each["sku"], each["name"], each["brand"], each["quantity"], each["transactions_count"])
        for each in found["data"]
    ] == [("S1", "Socks", "X", 5, 2), ("S7", "Soap", "Y", 2, 1)]
    boots, soap = found["data"]
    assert (boots["product"]["name"], soap["product"]) == ("Boots", None)
    assert (boots["first_transacted_at"], boots["last_transacted_at"]) == ("2026-10-01 23:30:00", "2026-10-02 10:00:00")


async def test_members_see_their_own_transactions(club: Club) -> None:
    member, other = await shopping(club), await shopping(club)
    for path in ("transactions", "group_transactions", "transaction-products"):
        assert await own(club, member, path) == {
            **(await club.http.get(f"{V3}/profiles/{member}/{path}")).json(),
            "links": (mine := await own(club, member, path))["links"],
            "meta": mine["meta"],
        }
    found = await own(club, other, "find-transactions", **{"filter[total][gt]": "60"})
    assert found["data"]["profile_id"] == other


async def test_the_transactions_of_an_unknown_profile_are_404(club: Club) -> None:
    for member in ("x", "018f0000-0000-7000-8000-000000000000"):
        for path in ("transactions", "find-transactions", "group_transactions", "transaction-products"):
            await get_json(club, f"profiles/{member}/{path}", 404)
