"""Purchases in reports: worked cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.transaction_calls import V3, change, line, make, profile, sale
from clubs import Club
from regulars.bulk.verify import Difference, verify
from regulars.facts import community as communities
from regulars.query.problems import InvalidParametersError
from regulars.query.query import Operation
from regulars.reports import purchases
from regulars.reports.interval import Interval
from regulars.reports.transactions import TRANSACTIONS_STATS
from reports.asking_transactions import series, stats

YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def values(transactions: int, net: str, members: int, average: str | None) -> dict[str, Any]:
    """The four measures."""
    return {
        "transactions": transactions,
        "net_amount": Decimal(net),
        "members": members,
        "average_value": None if average is None else Decimal(average),
    }


async def fold(club: Club) -> None:
    """Adds up all that was told."""
    await purchases.fold_left(club.database, club.community.id)


async def test_sales_count_returns_lower_the_amount_and_whoever_is_anonymous_is_no_member(club: Club) -> None:
    one, two = await profile(club), await profile(club)
    await make(club, sale("100.00", profile_id=one))
    await make(club, sale("-40.00", "2026-10-02 09:00:00", profile_id=one))
    await make(club, sale("50.01", "2026-10-02 10:00:00"))
    await make(club, sale("0.00", "2026-10-02 11:00:00", profile_id=two))
    for _ in range(2):
        assert await stats(club, *YEAR) == {None: values(2, "110.01", 2, "55.00")}
        assert await series(
            club, Interval.DAY, datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC)
        ) == {
            (datetime(2026, 10, 1, tzinfo=UTC), None): values(1, "100.00", 1, "100.00"),
            (datetime(2026, 10, 2, tzinfo=UTC), None): values(1, "10.01", 2, "10.01"),
        }
        await fold(club)


async def test_a_range_that_begins_and_ends_within_days_counts_to_the_microsecond(club: Club) -> None:
    who = await profile(club)
    for at in ("2026-08-30 11:59:59", "2026-08-30 12:00:00", "2026-09-15 00:00:00", "2026-10-02 12:00:00"):
        await make(club, sale(1, at, profile_id=who))
    await fold(club)
    noon = datetime(2026, 8, 30, 12, tzinfo=UTC), datetime(2026, 10, 2, 12, tzinfo=UTC)
    assert await stats(club, *noon) == {None: values(2, "2.00", 1, "1.00")}
    assert await stats(club, noon[0], noon[1] + timedelta(microseconds=1)) == {None: values(3, "3.00", 1, "1.00")}
    assert await stats(club, noon[0], noon[0]) == {}


async def test_a_buyer_is_counted_as_of_the_first_commit(club: Club) -> None:
    who = await profile(club, gender="female", birth_year=1990)
    made = await make(club, sale(10, profile_id=who))
    await make(club, sale(10, profile_id=who))
    await club.http.put(f"{V3}/profiles/{who}", json={"gender": "male"})
    await change(club, made, total=20)
    for _ in range(2):
        assert await stats(club, *YEAR, "gender") == {"female": values(2, "30.00", 1, "15.00")}
        assert await stats(club, *YEAR, "age") == {"35-39": values(2, "30.00", 1, "15.00")}
        assert await stats(club, *YEAR, "dimension_frequency") == {
            "F1": values(1, "20.00", 1, "20.00"),
            "F2": values(1, "10.00", 1, "10.00"),
        }
        await fold(club)


async def test_brands_have_what_was_paid_for_their_items_at_the_rate(club: Club) -> None:
    items = [
        line(brand="A", price_sell=10, quantity=2),
        line(brand="B", price_sell="0.05", quantity=1),
        line(brand="A", price_sell=1, quantity=-1),
        line(price_sell=3, quantity=1),
        line(brand="C", price_sell=3, quantity=1, is_void=True),
    ]
    await make(club, sale(22, items=items, currency="EUR", currency_rate="10.1"))
    for _ in range(2):
        assert await stats(club, *YEAR, "brand") == {
            "A": values(1, "191.90", 0, "191.90"),
            "B": values(1, "0.50", 0, "0.50"),
            None: values(1, "30.30", 0, "30.30"),
        }
        assert await stats(club, *YEAR) == {None: values(1, "222.20", 0, "222.20")}
        await fold(club)


async def test_a_void_takes_a_buyer_out_only_where_nothing_else_was_bought(club: Club) -> None:
    one, two = await profile(club), await profile(club)
    first = await make(club, sale(10, profile_id=one))
    await make(club, sale(10, "2026-10-20 10:00:00", profile_id=one))
    only = await make(club, sale(10, profile_id=two))
    await fold(club)
    await change(club, first, is_void=True)
    await change(club, only, is_void=True)
    day = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 1, 23, tzinfo=UTC)
    for _ in range(2):
        assert await stats(club, *day) == {}
        assert await series(club, Interval.DAY, *day) == {}
        assert await stats(club, *YEAR) == {None: values(1, "10.00", 1, "10.00")}
        await fold(club)
    await change(club, only, is_void=False)
    for _ in range(2):
        assert await stats(club, *day) == {None: values(1, "10.00", 1, "10.00")}
        assert await stats(club, *YEAR) == {None: values(2, "20.00", 2, "10.00")}
        await fold(club)


async def test_what_is_dated_ahead_counts_from_then_on(club: Club) -> None:
    who = await profile(club)
    await make(club, sale(10, "2026-11-01 00:30:00", profile_id=who))
    await fold(club)
    assert await stats(club, *YEAR) == {}
    club.clock.step(minutes=30)
    for _ in range(3):
        assert await stats(club, *YEAR) == {None: values(1, "10.00", 1, "10.00")}
        hour = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, 1, tzinfo=UTC)
        assert list(await series(club, Interval.HOUR, *hour)) == [(datetime(2026, 11, 1, tzinfo=UTC), None)]
        await fold(club)


async def test_by_another_clock_all_is_added_up_anew(club: Club) -> None:
    await make(club, sale(10, "2026-10-01 23:30:00", profile_id=await profile(club)))
    await fold(club)
    async with club.database.writing(club.community.id) as scope:
        await scope.execute("UPDATE communities SET timezone = 'Europe/Oslo' WHERE id = $1", club.community.id)
    async with club.database.unscoped() as connection:
        club.community = await communities.by_id(connection, club.community.id)
    for _ in range(2):
        found = await series(club, Interval.DAY, datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC))
        assert found == {(datetime(2026, 10, 1, 22, tzinfo=UTC), None): values(1, "10.00", 1, "10.00")}
        await purchases.fold(club.database, club.community.id)


async def test_money_of_several_currencies_is_not_added_up(club: Club, other_club: Club) -> None:
    for each in (club, other_club):
        await make(each, sale(10))
    with pytest.raises(InvalidParametersError) as refused:
        await stats([club, other_club], *YEAR)
    assert "NOK, SEK" in str(refused.value.details)
    assert await stats([club, other_club], *YEAR, "community_id") == {
        each.community.id: values(1, "10.00", 0, "10.00") for each in (club, other_club)
    }


async def test_several_fields_are_asked_of_the_purchases_themselves(club: Club) -> None:
    woman, man = await profile(club, gender="female"), await profile(club, gender="male")
    for who in (woman, man, woman):
        await make(club, sale(10, profile_id=who, systems=["web"]))
    await fold(club)
    only = Operation("equal", TRANSACTIONS_STATS.by_field["gender"], None, "female")
    assert await stats(club, *YEAR, None, only) == {None: values(2, "20.00", 1, "10.00")}
    assert await stats(club, *YEAR, "channel", only) == {"CO": values(2, "20.00", 1, "10.00")}
    assert await stats(club, *YEAR, "brand", only) == {None: values(2, "200.00", 1, "100.00")}


async def test_much_that_is_told_is_folded_before_more_is_written(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purchases, "MOST_UNFOLDED", 2)
    monkeypatch.setattr(purchases, "WORTH_FOLDING", 1)
    await make(club, sale(10))
    assert club.community.id in purchases.unfolded()
    await make(club, sale(10))
    assert club.community.id not in purchases.unfolded()
    assert await purchases.fold_left(club.database, club.community.id) == 0


async def test_a_fold_leaves_a_community_to_the_one_that_is_at_it(club: Club) -> None:
    await make(club, sale(10))
    async with club.database.unscoped() as connection:
        await connection.execute(f"BEGIN; SET LOCAL regulars.community_id = '{club.community.id}'")
        assert await connection.fetchval(purchases._ALONE, club.community.id)
        assert await purchases.fold(club.database, club.community.id) == 0
        await connection.execute("ROLLBACK")
    assert await purchases.fold(club.database, club.community.id) == 1


async def test_a_database_restored_to_lower_transaction_ids_is_added_up_anew(club: Club) -> None:
    who = await profile(club)
    await make(club, sale(10, profile_id=who))
    await fold(club)
    async with club.database.writing(club.community.id) as scope:
        for table, column in (("purchase_marks", "watermark"), ("purchases", "since")):
            await scope.execute(
                f"UPDATE {table} SET {column} = '9000000000000' WHERE community_id = $1", club.community.id
            )
    assert await purchases.repair(club.database) == 1
    assert await purchases.repair(club.database) == 0
    await make(club, sale(10, profile_id=who))
    for _ in range(2):
        assert await stats(club, *YEAR) == {None: values(2, "20.00", 1, "10.00")}
        await fold(club)


async def test_verify_finds_what_is_not_as_the_purchases_say(club: Club) -> None:
    who = await profile(club)
    made = await make(club, sale(10, profile_id=who))
    await make(club, sale(10, profile_id=who))
    await fold(club)
    for statement in (
        "UPDATE purchases SET amount = 1 WHERE community_id = $1 AND id = $2",
        (
            "UPDATE purchase_rollups SET sales = 3"
            " WHERE community_id = $1 AND step = '1d' AND grain = '' AND $2::bigint > 0"
        ),
        "DELETE FROM unique_sets WHERE community_id = $1 AND step = '1mo' AND grain = 'age' AND $2::bigint > 0",
    ):
        async with club.database.writing(club.community.id) as scope:
            await scope.execute(statement, club.community.id, made["id"])
    told = [each async for each in verify(club.database, club.community.id)]
    found = {(each.key, each.name) for each in told if isinstance(each, Difference)}
    assert (f"transaction {made['id']}", "purchase") in found
    assert ("1d 2026-10-01 00:00:00+00", "purchases") in {(key.strip(), name) for key, name in found}
    assert ("1mo 2026-10-01 00:00:00+00 age", "buyers") in found
