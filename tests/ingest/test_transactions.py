"""Batches of transactions: inserted, replaced if they differ, unchanged otherwise."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from clubs import Club
from ingest.transaction_writes import stored_rows, transaction_write, write_all
from regulars.core.errors import ValidationError
from regulars.ingest import transactions as ingest
from regulars.ingest.commit import commit
from regulars.ingest.transactions import StoredTransaction, WriteMode, WriteStatus
from regulars.model.unit_of_work import UnitOfWork

V3 = "/api/v3"


async def profile(club: Club, **body: Any) -> str:
    answer = await club.http.post(f"{V3}/profiles", json=body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["data"]["id"]
    return found


async def spend(club: Club, profile_id: str) -> float:
    answer = await club.http.get(f"{V3}/profiles/{profile_id}/aggregations")
    found: float = answer.json()["data"]["spend_all"]
    return found


def kinds(outcomes: list[Any]) -> list[Any]:
    return [each.status if isinstance(each, StoredTransaction) else list(each.errors) for each in outcomes]


async def test_the_same_row_is_unchanged_and_another_replaces_it(club: Club) -> None:
    member = await profile(club, external_id="P1")
    first = transaction_write(club, external_id="A", profile="P1", items=[{"name": "x", "id": 5}])
    assert kinds(await write_all(club, [first])) == [WriteStatus.ACCEPTED]
    again = transaction_write(club, external_id="A", profile="P1", items=[{"name": "x", "id": 5}])
    assert kinds(await write_all(club, [again])) == [WriteStatus.UNCHANGED]
    other = transaction_write(club, external_id="A", profile="P1", total=30, items=[{"name": "y", "id": 5}])
    assert kinds(await write_all(club, [other])) == [WriteStatus.ACCEPTED]
    assert await spend(club, member) == 30
    assert await stored_rows(club, "name", "transaction_items") == [("y",)]


async def test_rows_with_one_external_id_are_written_in_order(club: Club) -> None:
    rows = [transaction_write(club, external_id="A", total=total) for total in (1, 2, 3)] + [
        transaction_write(club, WriteMode.CREATE, external_id="A")
    ]
    assert kinds(await write_all(club, rows)) == [WriteStatus.ACCEPTED] * 3 + [["external_id"]]
    assert await stored_rows(club, "total") == [(Decimal(3),)]


async def test_a_transaction_with_another_owner_changes_both_profiles(club: Club) -> None:
    one, other = await profile(club, external_id="P1"), await profile(club, external_id="P2")
    await write_all(club, [transaction_write(club, external_id="A", profile="P1")])
    await write_all(club, [transaction_write(club, external_id="A", profile="P2")])
    assert (await spend(club, one), await spend(club, other)) == (0, 10)


async def test_profiles_are_found_by_external_id_or_id_and_created_on_request(club: Club) -> None:
    member = await profile(club, external_id="P1")
    rows = [
        transaction_write(club, profile="P1"),
        transaction_write(club, profile=member),
        transaction_write(club, profile="P9"),
        transaction_write(club),
    ]
    assert kinds(await write_all(club, rows)) == [
        WriteStatus.ACCEPTED,
        WriteStatus.ACCEPTED,
        ["profile"],
        WriteStatus.ACCEPTED,
    ]
    writes = [
        transaction_write(club, profile="P8"),
        transaction_write(club, profile="P8"),
        transaction_write(club, profile="P1"),
    ]
    assert kinds(await write_all(club, writes, create_profiles=True)) == [WriteStatus.ACCEPTED] * 3
    assert await spend(club, member) == 30
    async with club.database.read_transaction(club.community.id) as scope:
        new = await scope.fetchval(
            "SELECT profile_id FROM profiles WHERE community_id = $1 AND external_id = 'P8'", club.community.id
        )
    assert await spend(club, str(new)) == 20


async def test_a_deleted_profile_is_not_created_again(club: Club) -> None:
    member = await profile(club, external_id="P1")
    await club.http.delete(f"{V3}/profiles/{member}")
    rows = [transaction_write(club, profile="P1"), transaction_write(club, profile="P2")]
    assert kinds(await write_all(club, rows, create_profiles=True)) == [["profile"], WriteStatus.ACCEPTED]


async def test_local_times_are_in_the_zone_of_row_location_or_community(club: Club) -> None:
    await club.http.post(f"{V3}/locations", json={"external_id": "OSL", "timezone": "Europe/Oslo"})
    at = "2026-07-01 12:00:00"
    rows = [
        transaction_write(club, local=True, external_id="1", transacted_at=at, timezone="Asia/Tokyo", location="OSL"),
        transaction_write(club, local=True, external_id="2", transacted_at=at, location="OSL"),
        transaction_write(club, local=True, external_id="3", transacted_at=at),
        transaction_write(club, local=True, external_id="4", transacted_at=f"{at}+02:00", location="OSL"),
    ]
    await write_all(club, rows)
    assert await stored_rows(club, "external_id, transacted_at") == [
        ("1", datetime(2026, 7, 1, 3, tzinfo=UTC)),
        ("2", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("3", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("4", datetime(2026, 7, 1, 10, tzinfo=UTC)),
    ]


async def test_rows_with_and_without_location_may_be_in_one_batch(club: Club) -> None:
    await write_all(
        club, [transaction_write(club, external_id="1", location="A"), transaction_write(club, external_id="2")]
    )
    assert [location_id is None for _, location_id in await stored_rows(club, "external_id, location_id")] == [
        False,
        True,
    ]


async def test_many_brands_of_one_transaction_are_read_from_its_items(club: Club) -> None:
    member = await profile(club, external_id="P1")
    brands = [f'Brand {number:03} {{"quoted, \\\\"}}' for number in range(80)]
    items = [{"name": "x", "brand": brand} for brand in brands]
    await write_all(
        club,
        [transaction_write(club, profile="P1", items=items), transaction_write(club, profile="P1", items=items[:2])],
    )
    assert await stored_rows(club, "items_overflow, item_brands") == [(False, brands[:2]), (True, None)]
    answer = await club.http.get(f"{V3}/profiles/{member}/aggregations")
    assert answer.json()["data"]["purchased_brands"] == brands


# Claims --------------------------------------------------------------------------------------------------


def receipt(club: Club, **more: Any) -> Any:
    return transaction_write(club, external_id="A", location="M1", receipt_ref="r", timezone="UTC", **more)


async def claimed(club: Club) -> str:
    member = await profile(club, external_id="P1")
    await club.http.post(f"{V3}/locations", json={"external_id": "M1", "external_code": "1"})
    answer = await club.http.post(
        f"{V3}/profiles/{member}/transactions/claims",
        json={
            "transaction_receipt_ref": "r",
            "transaction_transacted_at": "2026-10-01 12:00:00",
            "transaction_timezone": "UTC",
            "transaction_total": 10,
            "transaction_location_external_code": "1",
        },
    )
    assert answer.status_code == 201
    return member


async def test_a_row_without_owner_leaves_a_claimed_transaction_to_its_claimant(club: Club) -> None:
    member = await claimed(club)
    await write_all(club, [receipt(club)])
    assert await spend(club, member) == 10
    await write_all(club, [receipt(club, margin=5)])
    assert await spend(club, member) == 10
    other = await profile(club, external_id="P2")
    await write_all(club, [receipt(club, profile="P2")])
    assert (await spend(club, member), await spend(club, other)) == (0, 10)


async def test_a_replaced_transaction_is_attached_to_its_claim(club: Club) -> None:
    member = await claimed(club)
    await write_all(club, [receipt(club, total=9)])
    assert await spend(club, member) == 0
    await write_all(club, [receipt(club)])
    assert await spend(club, member) == 10


# Other writers -------------------------------------------------------------------------------------------


async def test_a_concurrently_deleted_transaction_is_inserted(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_all(club, [transaction_write(club, external_id="A", total=1)])
    find_existing = ingest._find_existing
    deleted: list[bool] = []

    async def deleting(uow: UnitOfWork, external_ids: Any, *, lock: bool) -> Any:
        # Another writer deletes it between the conflict and the lookup of the existing row.
        if not deleted:
            deleted.append(True)
            async with club.database.write_transaction(club.community.id) as scope:
                await scope.execute("DELETE FROM transactions WHERE community_id = $1", club.community.id)
        return await find_existing(uow, external_ids, lock=lock)

    monkeypatch.setattr(ingest, "_find_existing", deleting)
    assert kinds(await write_all(club, [transaction_write(club, WriteMode.CREATE, external_id="A", total=2)])) == [
        WriteStatus.ACCEPTED
    ]
    assert await stored_rows(club, "total") == [(Decimal(2),)]


async def test_a_retried_row_is_resolved_again(club: Club) -> None:
    inline = {"sku": "S1", "product": {"name": "Boots"}}
    writes = [transaction_write(club, items=[{"product_variant": inline}, {"sku": "S1"}])]
    calls = 0

    async def work(uow: UnitOfWork) -> Any:
        nonlocal calls
        calls += 1
        outcomes = await ingest.write(uow, writes)
        if calls == 1:
            await uow.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")
        return outcomes

    assert kinds(await commit(club.database, club.community.id, work)) == [WriteStatus.ACCEPTED]
    variants = await stored_rows(club, "id", "product_variants")
    assert {each for (each,) in await stored_rows(club, "product_variant_id", "transaction_items")} == {
        each for (each,) in variants
    }


async def test_a_concurrently_deleted_product_rejects_only_its_row(club: Club) -> None:
    rejected = await write_all(
        club,
        [
            transaction_write(club, items=[{"product_variant": {"product_id": 987654321}}]),
            transaction_write(club, external_id="B"),
        ],
    )
    assert isinstance(rejected[0], ValidationError)
    assert kinds(rejected) == [["items.0.product_variant.product_id"], WriteStatus.ACCEPTED]
