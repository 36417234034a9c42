"""Transactions change the values of their profiles immediately."""

from decimal import Decimal

import pytest

from api.transaction_client import (
    V3,
    create_profile,
    create_transaction,
    get_values,
    sale,
    shop_count_and_spend,
    update_transaction,
)
from clubs import Club, ManualClock, create_club
from regulars.ingest import voided_statuses
from regulars.model import community as communities
from regulars.model.community import NewCommunity
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database
from regulars.verify.verify import verify
from reports.club_fixture import ClubFixture


async def test_a_sale_and_a_return_show_in_the_values_immediately(club: Club) -> None:
    member = await create_profile(club)
    await create_transaction(club, sale("100.00", profile_id=member))
    assert await shop_count_and_spend(club, member) == (1, Decimal("100.00"))
    await create_transaction(club, sale("-40.00", "2026-10-20 12:00:00", profile_id=member))
    assert await shop_count_and_spend(club, member) == (1, Decimal("60.00"))
    assert (await get_values(club, member))["spend_last_date"] == "2026-10-20 12:00:00"


async def test_voiding_a_transaction_and_reverting_it_show_in_the_values(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale(profile_id=member))
    await update_transaction(club, created, is_void=True)
    assert await shop_count_and_spend(club, member) == (0, Decimal("0.00"))
    await update_transaction(club, created, is_void=True)
    assert await shop_count_and_spend(club, member) == (0, Decimal("0.00"))
    await update_transaction(club, created, is_void=False)
    assert await shop_count_and_spend(club, member) == (1, Decimal("100.00"))


async def test_an_order_with_a_void_status_is_void_until_its_status_changes(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale(profile_id=member, status="Cancelled"))
    assert (created["is_void"], created["status"]) == (True, "Cancelled")
    assert await shop_count_and_spend(club, member) == (0, Decimal("0.00"))
    # What was read can be sent back, and voids nothing by itself.
    await update_transaction(club, created, **created)
    assert (await update_transaction(club, created, is_void=False))["is_void"]
    restored = await update_transaction(club, created, status="completed")
    assert (restored["is_void"], restored["status"]) == (False, "completed")
    assert await shop_count_and_spend(club, member) == (1, Decimal("100.00"))
    # Voided itself, it stays void with any status.
    await update_transaction(club, created, is_void=True)
    await update_transaction(club, created, status="failed")
    assert (await update_transaction(club, created, status="completed"))["is_void"]
    assert await shop_count_and_spend(club, member) == (0, Decimal("0.00"))
    assert not (await update_transaction(club, created, is_void=False))["is_void"]
    batch = {"transactions": [sale(5, profile_id=member, status="VOIDED"), sale(7, profile_id=member, status="paid")]}
    assert (await club.http.post(f"{V3}/transactions/batch.json", json=batch)).status_code in (200, 201)
    assert await shop_count_and_spend(club, member) == (2, Decimal("107.00"))


async def test_new_void_statuses_void_and_restore_stored_transactions(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voided_statuses, "TRANSACTIONS_PER_COMMIT", 1)
    member = await create_profile(club)
    for total, more in ((1, {"status": "failed"}), (10, {"status": "Refused"}), (100, {}), (1000, {"is_void": True})):
        await create_transaction(club, sale(total, profile_id=member, **more))
    assert await shop_count_and_spend(club, member) == (2, Decimal("110.00"))
    for statuses, changed, expected in (
        (["refused", " Refused"], 2, (2, Decimal("101.00"))),
        (["refused"], 0, (2, Decimal("101.00"))),
        ([], 1, (3, Decimal("111.00"))),
        (["failed"], 1, (2, Decimal("110.00"))),
    ):
        async with club.database.unscoped_connection() as connection:
            await communities.set_void_statuses(connection, club.community.slug, statuses, club.clock())
        assert await voided_statuses.apply(club.database, club.community.id) == changed, statuses
        assert await shop_count_and_spend(club, member) == expected, statuses
        assert await voided_statuses.apply(club.database, club.community.id) == 0
        assert club.community.id not in await voided_statuses.list_pending(club.database)
        assert [each async for each in verify(club.database, club.community.id) if not isinstance(each, int)] == []


async def test_a_status_that_is_stored_while_void_statuses_are_applied_is_applied_as_well(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = await create_profile(club)
    await create_transaction(club, sale(1, profile_id=member, status="refused"))
    async with club.database.unscoped_connection() as connection:
        await communities.set_void_statuses(connection, club.community.slug, ["refused", "late"], club.clock())
    apply_part = voided_statuses._apply_part

    async def with_late_sale(uow: UnitOfWork, statuses: set[str]) -> tuple[int, set[str]]:
        if "refused" in statuses and "late" not in statuses:
            await create_transaction(club, sale(10, profile_id=member, status="late"))
        return await apply_part(uow, statuses)

    monkeypatch.setattr(voided_statuses, "_apply_part", with_late_sale)
    assert await voided_statuses.apply(club.database, club.community.id) == 1
    assert await shop_count_and_spend(club, member) == (0, Decimal("0.00"))
    assert club.community.id not in await voided_statuses.list_pending(club.database)
    rows = (await club.http.get(f"{V3}/transactions")).json()["data"]
    assert [each["is_void"] for each in rows] == [True, True]


async def test_a_changed_total_and_time_show_in_the_values(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale(profile_id=member))
    changed = await update_transaction(club, created, total="80.25", transacted_at="2025-01-01T01:00:00+02:00")
    assert (changed["total"], changed["transacted_at"]) == (80.25, "2024-12-31 23:00:00")
    found = await get_values(club, member)
    assert (found["spend_all"], found["spend_12m"]) == (Decimal("80.25"), Decimal("80.25"))
    assert found["spend_12m_now"] == Decimal("0.00")
    assert (found["dimension_recency"], found["spend_first_date"]) == ("RI", "2024-12-31 23:00:00")


async def test_a_backdated_sale_becomes_the_first(club: Club) -> None:
    member = await create_profile(club)
    await create_transaction(club, sale(profile_id=member, location_id="A"))
    await create_transaction(club, sale(100, "2026-01-01 00:00:00", profile_id=member, location_id="B"))
    found = await get_values(club, member)
    assert (found["store_join"]["external_id"], found["first_shop_date"]) == ("B", "2026-01-01")


async def test_a_deleted_transaction_is_removed_from_the_values(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale(profile_id=member))
    assert (await club.http.delete(f"{V3}/transactions/{created['id']}")).status_code == 204
    assert await shop_count_and_spend(club, member) == (0, Decimal("0.00"))
    assert (await club.http.get(f"{V3}/transactions/{created['id']}")).status_code == 404
    assert (await club.http.get(f"{V3}/transactions/{created['id']}/items")).status_code == 404
    assert (await club.http.delete(f"{V3}/transactions/{created['id']}")).status_code == 404


async def test_a_transaction_without_a_profile_changes_no_values(club: Club) -> None:
    created = await create_transaction(club, sale())
    assert (await update_transaction(club, created, total=7))["total"] == 7
    assert (await club.http.delete(f"{V3}/transactions/{created['id']}")).status_code == 204


async def test_a_transaction_can_be_reassigned_to_another_profile(club: Club) -> None:
    first, second = await create_profile(club), await create_profile(club)
    created = await create_transaction(club, sale(profile_id=first))
    await update_transaction(club, created, profile_id=second)
    assert await shop_count_and_spend(club, first) == (0, Decimal("0.00"))
    assert await shop_count_and_spend(club, second) == (1, Decimal("100.00"))
    assert (await update_transaction(club, created, profile_id=None))["profile_id"] is None
    assert await shop_count_and_spend(club, second) == (0, Decimal("0.00"))
    await update_transaction(club, created, profile_id=second)
    assert await shop_count_and_spend(club, second) == (1, Decimal("100.00"))


async def test_a_foreign_currency_is_counted_at_its_rate(club: Club) -> None:
    member = await create_profile(club)
    created = await create_transaction(club, sale("10.01", profile_id=member, currency="eur", currency_rate="11.5"))
    assert (created["total"], created["currency"], created["currency_rate"]) == (10.01, "EUR", 11.5)
    assert (await get_values(club, member))["spend_all"] == Decimal("115.12")
    await update_transaction(club, created, currency="NOK")
    assert (await get_values(club, member))["spend_all"] == Decimal("10.01")


async def test_yen_have_no_decimals_in_values_and_reports(database: Database, clock: ManualClock) -> None:
    new = NewCommunity(slug="yen", name="Yen", country="JP", timezone="UTC", currency="JPY")
    async for club in create_club(database, clock, new):
        member = await create_profile(club)
        for total in (500, 700, 1):
            await create_transaction(club, sale(total, profile_id=member))
        values = (await club.http.get(f"{V3}/profiles/{member}/aggregations")).text
        assert '"spend_all":1201,' in values
        # An average may have more decimals than the currency.
        assert '"spend_atv_all":400.33,' in values
        span = {"from": "2026-09-01T00:00:00", "to": "2026-11-01T00:00:00"}
        found = await ClubFixture(club).query("transactions_stats", **span)
        assert {str(each["values"].get("net_amount", 1201)) for each in found["statistics"]} == {"1201"}
