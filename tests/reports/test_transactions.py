"""Purchases in reports: worked cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.profile_calls import create_location
from api.transaction_client import V3, create_profile, create_transaction, item_fields, sale, update_transaction
from clubs import Club
from regulars.facts import purchases
from regulars.model import community as communities
from regulars.query.errors import InvalidParametersError
from regulars.query.query import Comparison
from regulars.reports.transactions import TRANSACTIONS_STATS
from regulars.rollups.intervals import Interval
from regulars.verify.verify import Discrepancy, verify
from reports.club_fixture import ClubFixture
from reports.transaction_queries import query_statistics, query_timeseries

YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def values(transactions: int, net: str, members: int, average: str | None) -> dict[str, Any]:
    """The four measures."""
    return {
        "transactions": transactions,
        "net_amount": Decimal(net),
        "members": members,
        "average_value": None if average is None else Decimal(average),
    }


async def compact_all(club: Club) -> None:
    """Compacts all recorded purchases."""
    await purchases.compact_pending(club.database, club.community.id)


async def test_sales_count_returns_lower_the_amount_and_anonymous_buyers_are_no_members(club: Club) -> None:
    one, two = await create_profile(club), await create_profile(club)
    await create_transaction(club, sale("100.00", profile_id=one))
    await create_transaction(club, sale("-40.00", "2026-10-02 09:00:00", profile_id=one))
    await create_transaction(club, sale("50.01", "2026-10-02 10:00:00"))
    await create_transaction(club, sale("0.00", "2026-10-02 11:00:00", profile_id=two))
    for _ in range(2):
        assert await query_statistics(club, *YEAR) == {None: values(2, "110.01", 2, "55.00")}
        assert await query_timeseries(
            club, Interval.DAY, datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC)
        ) == {
            (datetime(2026, 10, 1, tzinfo=UTC), None): values(1, "100.00", 1, "100.00"),
            (datetime(2026, 10, 2, tzinfo=UTC), None): values(1, "10.01", 2, "10.01"),
        }
        await compact_all(club)


async def test_a_range_within_days_is_exact_to_the_microsecond(club: Club) -> None:
    who = await create_profile(club)
    for at in ("2026-08-30 11:59:59", "2026-08-30 12:00:00", "2026-09-15 00:00:00", "2026-10-02 12:00:00"):
        await create_transaction(club, sale(1, at, profile_id=who))
    await compact_all(club)
    noon = datetime(2026, 8, 30, 12, tzinfo=UTC), datetime(2026, 10, 2, 12, tzinfo=UTC)
    assert await query_statistics(club, *noon) == {None: values(2, "2.00", 1, "1.00")}
    assert await query_statistics(club, noon[0], noon[1] + timedelta(microseconds=1)) == {
        None: values(3, "3.00", 1, "1.00")
    }
    assert await query_statistics(club, noon[0], noon[0]) == {}


async def test_a_buyer_is_counted_as_of_the_first_commit(club: Club) -> None:
    who = await create_profile(club, gender="female", birth_year=1990)
    made = await create_transaction(club, sale(10, profile_id=who))
    await create_transaction(club, sale(10, profile_id=who))
    await club.http.put(f"{V3}/profiles/{who}", json={"gender": "male"})
    await update_transaction(club, made, total=20)
    for _ in range(2):
        assert await query_statistics(club, *YEAR, "gender") == {"female": values(2, "30.00", 1, "15.00")}
        assert await query_statistics(club, *YEAR, "age") == {"35-39": values(2, "30.00", 1, "15.00")}
        assert await query_statistics(club, *YEAR, "dimension_frequency") == {
            "F1": values(1, "20.00", 1, "20.00"),
            "F2": values(1, "10.00", 1, "10.00"),
        }
        await compact_all(club)


async def test_a_brand_has_the_amount_of_its_items_at_the_currency_rate(club: Club) -> None:
    items = [
        item_fields(brand="A", price_sell=10, quantity=2),
        item_fields(brand="B", price_sell="0.05", quantity=1),
        item_fields(brand="A", price_sell=1, quantity=-1),
        item_fields(price_sell=3, quantity=1),
        item_fields(brand="C", price_sell=3, quantity=1, is_void=True),
    ]
    await create_transaction(club, sale(22, items=items, currency="EUR", currency_rate="10.1"))
    for _ in range(2):
        assert await query_statistics(club, *YEAR, "brand") == {
            "A": values(1, "191.90", 0, "191.90"),
            "B": values(1, "0.50", 0, "0.50"),
            None: values(1, "30.30", 0, "30.30"),
        }
        assert await query_statistics(club, *YEAR) == {None: values(1, "222.20", 0, "222.20")}
        await compact_all(club)


async def test_a_void_removes_the_buyer_only_without_another_purchase(club: Club) -> None:
    one, two = await create_profile(club), await create_profile(club)
    first = await create_transaction(club, sale(10, profile_id=one))
    await create_transaction(club, sale(10, "2026-10-20 10:00:00", profile_id=one))
    only = await create_transaction(club, sale(10, profile_id=two))
    await compact_all(club)
    await update_transaction(club, first, is_void=True)
    await update_transaction(club, only, is_void=True)
    day = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 1, 23, tzinfo=UTC)
    for _ in range(2):
        assert await query_statistics(club, *day) == {}
        assert await query_timeseries(club, Interval.DAY, *day) == {}
        assert await query_statistics(club, *YEAR) == {None: values(1, "10.00", 1, "10.00")}
        await compact_all(club)
    await update_transaction(club, only, is_void=False)
    for _ in range(2):
        assert await query_statistics(club, *day) == {None: values(1, "10.00", 1, "10.00")}
        assert await query_statistics(club, *YEAR) == {None: values(2, "20.00", 2, "10.00")}
        await compact_all(club)


async def test_a_purchase_in_the_future_counts_from_its_time_on(club: Club) -> None:
    who = await create_profile(club)
    await create_transaction(club, sale(10, "2026-11-01 00:30:00", profile_id=who))
    await compact_all(club)
    assert await query_statistics(club, *YEAR) == {}
    club.clock.advance(minutes=30)
    for _ in range(3):
        assert await query_statistics(club, *YEAR) == {None: values(1, "10.00", 1, "10.00")}
        hour = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, 1, tzinfo=UTC)
        assert list(await query_timeseries(club, Interval.HOUR, *hour)) == [(datetime(2026, 11, 1, tzinfo=UTC), None)]
        await compact_all(club)


async def test_a_change_of_the_time_zone_rebuilds_purchase_rollups(club: Club) -> None:
    await create_transaction(club, sale(10, "2026-10-01 23:30:00", profile_id=await create_profile(club)))
    await compact_all(club)
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute("UPDATE communities SET timezone = 'Europe/Oslo' WHERE id = $1", club.community.id)
    async with club.database.unscoped_connection() as connection:
        club.community = await communities.get_by_id(connection, club.community.id)
    for _ in range(2):
        found = await query_timeseries(
            club, Interval.DAY, datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC)
        )
        assert found == {(datetime(2026, 10, 1, 22, tzinfo=UTC), None): values(1, "10.00", 1, "10.00")}
        await purchases.compact(club.database, club.community.id)


async def test_amounts_of_several_currencies_are_not_added(club: Club, other_club: Club) -> None:
    for each in (club, other_club):
        await create_transaction(each, sale(10))
    with pytest.raises(InvalidParametersError) as refused:
        await query_statistics([club, other_club], *YEAR)
    assert "NOK, SEK" in str(refused.value.details)
    assert await query_statistics([club, other_club], *YEAR, "community_id") == {
        each.community.id: values(1, "10.00", 0, "10.00") for each in (club, other_club)
    }


async def test_several_dimensions_are_counted_from_the_purchases(club: Club) -> None:
    woman, man = await create_profile(club, gender="female"), await create_profile(club, gender="male")
    for who in (woman, man, woman):
        await create_transaction(club, sale(10, profile_id=who, systems=["web"]))
    await compact_all(club)
    only = Comparison("equal", TRANSACTIONS_STATS.fields_by_name["gender"], None, "female")
    assert await query_statistics(club, *YEAR, None, only) == {None: values(2, "20.00", 1, "10.00")}
    assert await query_statistics(club, *YEAR, "channel", only) == {"CO": values(2, "20.00", 1, "10.00")}
    assert await query_statistics(club, *YEAR, "brand", only) == {None: values(2, "200.00", 1, "100.00")}


RANGE = {"from": "2026-10-01", "to": "2026-11-01"}


async def sell_in_stores(club: Club, members_by_store: dict[int, int]) -> None:
    """A sale of two brands and one of no brand in each store to as many members each, and to an unknown buyer."""
    buyers = [await create_profile(club) for _ in range(max(members_by_store.values()))]
    for store, members in members_by_store.items():
        items = [item_fields(brand="A"), item_fields(brand="B")]
        for buyer in [*buyers[:members], None]:
            known = {} if buyer is None else {"profile_id": buyer}
            await create_transaction(club, sale(10, location_id=store, items=items, **known))
            await create_transaction(club, sale(10, location_id=store, **known))


async def test_purchases_of_few_members_are_suppressed(club: Club) -> None:
    first, second, third, fourth = [await create_location(club, external_id=name) for name in "abcd"]
    await sell_in_stores(club, {first: 2, second: 3, third: 4, fourth: 0})
    hidden = dict.fromkeys(("transactions", "net_amount", "members", "average_value"))
    for _ in range(2):
        reports = ClubFixture(club, min_cell_size=3)
        statistics = (await reports.query("transactions_stats", **RANGE, aggregate_by="location"))["statistics"]
        found = {each["label"]["location"]: (each["values"], each.get("masked")) for each in statistics}
        assert found[first] == found[second] == (hidden, True)
        assert found[third] == ({"transactions": 10, "net_amount": 100.0, "members": 4, "average_value": 10.0}, None)
        assert found[fourth] == ({"transactions": 2, "net_amount": 20.0, "members": 0, "average_value": 10.0}, None)
        ((total,),) = [(await reports.query("transactions_stats", **RANGE))["statistics"]]
        assert (total["values"]["members"], "masked" in total) == (4, False)
        series = (await reports.query("transactions_history", **RANGE, interval="1mo", aggregate_by="location"))[
            "series"
        ]
        values = {(each["label"]["metric"], each["label"]["location"]): each["values"] for each in series}
        assert [values["net_amount", store] for store in (first, second, third, fourth)] == [
            [None],
            [None],
            [100],
            [20],
        ]
        assert {each["label"]["location"] for each in series if "masked" in each} == {first, second}
        await compact_all(club)


async def test_values_of_purchases_count_each_sale_once_and_are_suppressed_by_their_buyers(club: Club) -> None:
    first, second, third, fourth = [await create_location(club, external_id=name) for name in "abcd"]
    await sell_in_stores(club, {first: 2, second: 3, third: 4, fourth: 0})
    for _ in range(2):
        for report in ("transactions_stats", "transactions_history"):
            found = await ClubFixture(club).field_values(report, "location", **RANGE)
            assert found == {third: 10, second: 8, first: 6, fourth: 2}
            found = await ClubFixture(club, min_cell_size=3).field_values(report, "location", **RANGE)
            assert found == {third: 10, fourth: 2, second: None}
        await compact_all(club)


async def test_many_recorded_purchases_are_compacted_before_the_next_write(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchases, "MAX_UNCOMPACTED", 2)
    monkeypatch.setattr(purchases, "MIN_ROWS_TO_COMPACT", 1)
    await create_transaction(club, sale(10))
    assert club.community.id in purchases.pending_communities()
    await create_transaction(club, sale(10))
    assert club.community.id not in purchases.pending_communities()
    assert await purchases.compact_pending(club.database, club.community.id) == 0


async def test_a_compaction_skips_a_community_that_another_process_compacts(club: Club) -> None:
    await create_transaction(club, sale(10))
    async with club.database.unscoped_connection() as connection:
        await connection.execute(f"BEGIN; SET LOCAL regulars.community_id = '{club.community.id}'")
        assert await connection.fetchval(purchases._TRY_LOCK, club.community.id)
        assert await purchases.compact(club.database, club.community.id) == 0
        await connection.execute("ROLLBACK")
    assert await purchases.compact(club.database, club.community.id) == 1


async def test_a_database_restored_to_lower_transaction_ids_is_compacted_again(club: Club) -> None:
    who = await create_profile(club)
    await create_transaction(club, sale(10, profile_id=who))
    await compact_all(club)
    async with club.database.write_transaction(club.community.id) as scope:
        for table, column in (("purchase_compaction_state", "watermark"), ("purchases", "recorded_xid")):
            await scope.execute(
                f"UPDATE {table} SET {column} = '9000000000000' WHERE community_id = $1", club.community.id
            )
    assert await purchases.repair(club.database) == 1
    assert await purchases.repair(club.database) == 0
    await create_transaction(club, sale(10, profile_id=who))
    for _ in range(2):
        assert await query_statistics(club, *YEAR) == {None: values(2, "20.00", 1, "10.00")}
        await compact_all(club)


async def test_verify_finds_wrong_purchases_and_rollups(club: Club) -> None:
    who = await create_profile(club)
    made = await create_transaction(club, sale(10, profile_id=who))
    await create_transaction(club, sale(10, profile_id=who))
    await compact_all(club)
    for statement in (
        "UPDATE purchases SET amount = 1 WHERE community_id = $1 AND id = $2",
        (
            "UPDATE purchase_rollups SET sales = 3"
            " WHERE community_id = $1 AND granularity = '1d' AND dimension = '' AND $2::bigint > 0"
        ),
        "DELETE FROM member_bitmaps WHERE community_id = $1 AND granularity = '1mo' AND dimension = 'age' AND $2::bigint > 0",
        (
            "UPDATE member_bitmaps SET bitmap = set_bit(bitmap, 1000, 1)"
            " WHERE community_id = $1 AND granularity = '1d' AND dimension = '' AND $2::bigint > 0"
        ),
        # A bitmap without members is no difference.
        (
            "INSERT INTO member_bitmaps (community_id, metric_family, granularity, dimension, bucket, chunk, bitmap)"
            " SELECT $1, 'purchases', '1d', 'gender', '2026-09-01', 0, CAST(0 AS bit(1024)) WHERE $2::bigint > 0"
        ),
    ):
        async with club.database.write_transaction(club.community.id) as scope:
            await scope.execute(statement, club.community.id, made["id"])
    reported = [each async for each in verify(club.database, club.community.id)]
    found = {(each.key, each.name) for each in reported if isinstance(each, Discrepancy)}
    assert (f"transaction {made['id']}", "purchase") in found
    assert ("1d 2026-10-01 00:00:00+00", "purchases") in {(key.strip(), name) for key, name in found}
    assert ("1mo 2026-10-01 00:00:00+00 age", "buyers") in found
    assert ("1d 2026-09-01 00:00:00+00 gender", "buyers") not in found
    buyers = {each.key.strip(): each for each in reported if isinstance(each, Discrepancy) and each.name == "buyers"}
    (member,) = str(buyers["1mo 2026-10-01 00:00:00+00 age"].recomputed).strip("{}").split(",")
    assert buyers["1mo 2026-10-01 00:00:00+00 age"].stored is None
    wrong = buyers["1d 2026-10-01 00:00:00+00"]
    assert (wrong.stored, wrong.recomputed) == (f"{{{member},{int(member) // 1024 * 1024 + 1000}}}", f"{{{member}}}")
