"""Transactions move their profiles' values at once."""

from decimal import Decimal

from api.transaction_calls import V3, change, make, profile, sale, spend, values
from clubs import Club


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
