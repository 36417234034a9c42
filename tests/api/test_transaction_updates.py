"""Updates of transactions, and update-create."""

from api.transaction_client import (
    V3,
    create_profile,
    create_transaction,
    get_json,
    get_values,
    item_fields,
    sale,
    update_transaction,
)
from clubs import Club


async def test_sending_back_a_transaction_as_read_changes_nothing(club: Club) -> None:
    member = await create_profile(club)
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
            item_fields(product_variant={"sku": "S1", "name": "Socks", "product": {"name": "Socks", "brand": "A"}}),
            item_fields(sku="S2", discounts=[{"amount": "1.10", "name": "Spring"}]),
        ],
    )
    created = await create_transaction(club, sent)
    before = await get_values(club, member)
    await club.http.delete(f"{V3}/products/{created['items'][0]['product_id']}")
    read_before = (await get_json(club, f"transactions/{created['id']}", include="profile,product"))["data"]
    club.clock.advance(hours=1)
    answer = await club.http.get(f"{V3}/transactions/{created['id']}", params={"include": "profile,product"})
    changed = await update_transaction(club, created, **answer.json()["data"])
    assert changed["updated_at"] == "2026-11-01 01:00:00"
    read_after = (await get_json(club, f"transactions/{created['id']}", include="profile,product"))["data"]
    for shown in (read_before, read_after):
        del shown["updated_at"]
        for item in shown["items"]:
            del item["updated_at"]
    assert read_after == read_before
    assert await get_values(club, member) | {"calculated_at": ""} == before | {"calculated_at": ""}
    async with club.database.read_transaction(club.community.id) as scope:
        at = await scope.fetchval("SELECT transacted_at FROM transactions WHERE id = $1", created["id"])
    assert at.microsecond == 123456


async def test_absent_fields_stay_and_null_clears_a_field(club: Club) -> None:
    created = await create_transaction(
        club, sale(external_id="R-1", receipt_ref="r1", tags=["vip"], meta={"a": 1}, systems=["pos"], margin=3)
    )
    assert {**await update_transaction(club, created), "updated_at": ""} == {**created, "updated_at": ""}
    cleared = await update_transaction(
        club,
        created,
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


async def test_the_total_and_the_time_can_not_be_cleared(club: Club) -> None:
    created = await create_transaction(club, sale())
    assert (await update_transaction(club, created, 422, total=None))["errors"] == {"total": ["is required"]}
    assert list((await update_transaction(club, created, 422, transacted_at=None))["errors"]) == ["transacted_at"]


async def test_an_external_id_is_unique(club: Club) -> None:
    first, second = (
        await create_transaction(club, sale(external_id="A")),
        await create_transaction(club, sale(external_id=7)),
    )
    rejected = await create_transaction(club, sale(external_id="A"), 422)
    assert rejected["errors"] == {
        "external_id": [f"is taken by transaction {first['id']}: change that one by PUT or update-create"]
    }
    rejected = await update_transaction(club, second, 422, external_id="A")
    assert rejected["errors"] == {"external_id": ["is taken by another transaction: choose one that is free"]}
    assert (await get_json(club, "transactions/external/7"))["data"]["id"] == second["id"]


async def test_an_unknown_transaction_is_404(club: Club) -> None:
    for path in ("transactions/1", "transactions/x", "transactions/external/x", "transactions/99999999999999999999"):
        await get_json(club, path, 404)
    await update_transaction(club, {"id": 1}, 404)


async def test_transactions_of_another_community_are_404(club: Club, other_club: Club) -> None:
    created = await create_transaction(club, sale(external_id="A"))
    member = await create_profile(other_club)
    for path in (f"transactions/{created['id']}", "transactions/external/A", f"transactions/{created['id']}/items"):
        await get_json(other_club, path, 404)
    await update_transaction(other_club, created, 404)
    assert (await other_club.http.delete(f"{V3}/transactions/{created['id']}")).status_code == 404
    assert (await create_transaction(club, sale(profile_id=member), 422))["errors"] == {
        "profile_id": [f"there is no profile {member}"]
    }
    # Both communities may use the same external id and the same id.
    assert (await create_transaction(other_club, sale(external_id="A", id=created["id"])))["id"] != created["id"]


async def test_update_create_matches_the_external_id_then_the_id_and_otherwise_creates(club: Club) -> None:
    async def sent(**body: object) -> tuple[int, int, float]:
        answer = await club.http.post(f"{V3}/transactions/update-create", json=body)
        assert answer.status_code in (200, 201), answer.text
        shown = answer.json()["data"]
        return answer.status_code, shown["id"], shown["total"]

    status, created, _ = await sent(**sale(external_id="A"))
    assert status == 201
    assert await sent(external_id="A", total=70) == (200, created, 70)
    assert await sent(id=str(created), external_id="B", total=60) == (200, created, 60)
    other = (await create_transaction(club, sale(external_id="A")))["id"]
    assert await sent(id=created, external_id="A", total=50) == (200, other, 50)
    status, third, _ = await sent(**sale(external_id="C", id=123456789))
    assert status == 201
    assert third not in (created, other)
    answer = await club.http.post(f"{V3}/transactions/update-create", json={"external_id": "D", "total": 1})
    assert answer.status_code == 422
    answer = await club.http.post(f"{V3}/transactions/update-create", json={"external_id": "\0"})
    assert answer.json()["errors"] == {"external_id": ["must not hold a NUL character"]}


async def test_the_same_items_again_change_nothing(club: Club) -> None:
    member = await create_profile(club)
    inline = {"sku": "S1", "name": "Small", "product": {"name": "Socks", "brand": "A"}}
    body = sale(
        external_id="R-1",
        profile_id=member,
        items=[
            item_fields(product_variant=inline),
            item_fields(sku="S2", brand="B"),
            item_fields(sku="S2", brand="B", quantity=5),
            item_fields(name="Bag"),
            item_fields(external_id="line-5", sku="S2"),
        ],
    )
    created = await create_transaction(club, body)
    before = await get_values(club, member)
    reordered = body | {"items": [body["items"][4], *body["items"][:4]]}
    for sent in (body, body, reordered):
        changed = await update_transaction(club, created, **sent)
        assert [item | {"updated_at": ""} for item in changed["items"]] == [
            item | {"updated_at": ""} for item in created["items"]
        ]
        answer = await club.http.post(f"{V3}/transactions/update-create", json=sent)
        assert [item["id"] for item in answer.json()["data"]["items"]] == [item["id"] for item in created["items"]]
    assert await get_values(club, member) | {"calculated_at": ""} == before | {"calculated_at": ""}


async def test_items_match_by_id_then_external_id_then_product_and_others_are_appended(club: Club) -> None:
    created = await create_transaction(
        club,
        sale(items=[item_fields(sku="A", external_id="1"), item_fields(sku="A"), item_fields(name="Bag", sku="B")]),
    )
    first, second, third = (each["id"] for each in created["items"])

    async def quantities(*items: dict[str, object]) -> list[tuple[int, int]]:
        shown = await update_transaction(club, created, items=[item_fields(**each) for each in items])
        return [(each["id"], each["quantity"]) for each in shown["items"]]

    # The first item is named by its id, so that the product means the second one.
    assert await quantities({"sku": "A", "quantity": 7}, {"id": first, "sku": "A", "quantity": 6}) == [
        (first, 6), (second, 7), (third, 2),
    ]  # fmt: skip
    assert await quantities({"sku": "A", "external_id": "1", "quantity": 8}) == [(first, 8), (second, 7), (third, 2)]
    # The name alone is enough where an item has no SKU.
    assert (await quantities({"name": "Bag", "quantity": 9}))[2] == (third, 9)
    appended = await quantities({"sku": "A", "external_id": "2", "quantity": 1}, {"sku": "C", "quantity": 1})
    # The second item had no external id.
    assert [each for each in appended if each[0] in (first, second, third)] == [(first, 8), (second, 1), (third, 9)]
    assert len(appended) == 4
    shown = await update_transaction(club, created, delete_existing_items=True, items=[item_fields(sku="A")])
    assert len(shown["items"]) == 1
