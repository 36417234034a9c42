"""Verification finds every stored value that differs from the facts, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregations.case import ME, Case, at, case, purchase
from aggregations.histories import History, histories, replay
from aggregations.store_facts import store_case, store_facts
from clubs import ManualClock
from hypothesis_settings import property_test
from oracle import Address, Item, Location, Product, change_instants
from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.table import STORED_AGGREGATIONS
from regulars.core.field_type import FieldType
from regulars.storage.database import Database
from regulars.verify import verify as module
from regulars.verify.verify import Discrepancy, verify

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ITEM = Item(product_id=1, brand="B", price_sell=Decimal("20"), discounts=(Decimal("1"),))
WORLD = case(
    "",
    [
        purchase("2026-10-01 12:00", "0.25", 1, currency="USD", currency_rate=Decimal("0.5"), items=(ITEM,)),
        purchase("2026-10-02 12:00", "-10", 2, timezone="Europe/Oslo", systems=("Web",)),
    ],
    {},
    locations=[Location(1, country="NO", iso_state="NO-03"), Location(2)],
    products=[Product(1, "Acme")],
    addresses=(Address("SE", state="Skåne"),),
)


async def find_discrepancies(database: Database, community_id: int) -> list[Discrepancy]:
    """The discrepancies; asserts that the number of profiles is yielded."""
    results = [each async for each in verify(database, community_id)]
    assert [each for each in results if isinstance(each, int)] == [1]
    return [each for each in results if isinstance(each, Discrepancy)]


async def store(database: Database, clock: ManualClock, world: Case = WORLD) -> tuple[int, list[int]]:
    """A community that holds the world, and its transactions' ids."""
    community, facts = await store_case(database, clock, world)
    return community.id, sorted(facts.transactions)


async def test_consistent_data_has_no_discrepancies(database: Database, clock: ManualClock) -> None:
    community_id, _ = await store(database, clock)
    assert await find_discrepancies(database, community_id) == []


@pytest.mark.parametrize(
    ("breaking", "differences"),
    [
        ("UPDATE profile_aggregations SET spend_all = 1", ["profile {me}: spend_all is stored as 1, expected -988"]),
        (
            "UPDATE profile_aggregations SET channel = 'CM'",
            ["profile {me}: channel is stored as 'CM', expected None"],
        ),
        (
            "UPDATE profile_aggregations SET next_change_at = '2027-05-01'",
            ["profile {me}: next_change_at is stored as {may}, expected {november}"],
        ),
        ("DELETE FROM profile_aggregations", ["profile {me}: aggregations is stored as None, expected 'a row'"]),
        (
            "UPDATE transactions SET amount = 13 WHERE id = {first}",
            [
                "profile {me}: spend_12m is stored as -988, expected -987",
                "transaction {first}: amount is stored as '13', expected '12'",
            ],
        ),
        (
            "UPDATE transactions SET direction = 0 WHERE id = {second}",
            ["transaction {second}: direction is stored as '0', expected '-1'"],
        ),
        (
            "UPDATE transactions SET transacted_on = '2026-10-03' WHERE id = {second}",
            ["transaction {second}: transacted_on is stored as '2026-10-03', expected '2026-10-02'"],
        ),
        (
            "UPDATE transactions SET channels = 3 WHERE id = {second}",
            ["transaction {second}: channels is stored as '3', expected '2'"],
        ),
        (
            "UPDATE transactions SET list_value = NULL WHERE id = {first}",
            ["transaction {first}: list_value is stored as None, expected '10'"],
        ),
        (
            "UPDATE transactions SET discount = 1 WHERE id = {first}",
            ["transaction {first}: discount is stored as '1', expected '0.5'"],
        ),
        (
            "UPDATE transactions SET item_brands = NULL WHERE id = {first}",
            ["""transaction {first}: sold is stored as '{{"(1,)"}}', expected '{{"(1,B)"}}'"""],
        ),
        (
            "UPDATE locations SET country = 'SE' WHERE id = 1",
            ["location 1: country is stored as 'SE', expected 'NO'"],
        ),
        ("UPDATE addresses SET state = NULL", ["state is stored as None, expected 'Skåne'"]),
        (
            "DELETE FROM locations WHERE id = 2",
            ["transaction {second}: location_id is stored as '2', expected None"],
        ),
        (
            "DELETE FROM transactions WHERE id = {first}",
            ["transaction_id is stored as '{first}', expected None"],
        ),
        (
            "UPDATE transaction_claims SET transaction_id = 7",
            ["claim 1: transaction_id is stored as '7', expected None"],
        ),
        (
            "UPDATE profiles SET deleted_at = now()",
            ["profile {me}: aggregations is stored as 'a row', expected None"],
        ),
    ],
)
async def test_corrupted_data_is_found(
    breaking: str, differences: list[str], database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, (first, second) = await store(database, clock)
    names = {"me": ME, "first": first, "second": second, "may": repr(at("2027-05-01")), "november": "datetime"}
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        claim = """
            INSERT INTO transaction_claims (community_id, id, profile_id, receipt_ref, transacted_at, timezone, total,
                location_external_code, transaction_id, created_at, updated_at)
            SELECT %s, 1, %s, 'r', now(), 'UTC', 1, 's', %s, now(), now()
        """
        owner.execute(claim, [community_id, ME, second])
        condition = f"{'AND' if 'WHERE' in breaking else 'WHERE'} community_id = {community_id}"
        owner.execute(f"{breaking.format(**names)} {condition}".encode())
    results = [str(each) async for each in verify(database, community_id) if isinstance(each, Discrepancy)]
    for expected in differences:
        assert any(expected.format(**names) in each for each in results), results


async def test_references_to_a_deleted_profile_are_found(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, _ = await store(database, clock)
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("DELETE FROM profiles WHERE community_id = %s", [community_id])
    results = [each async for each in verify(database, community_id)]
    assert sorted((each.key.split()[0], each.name) for each in results if isinstance(each, Discrepancy)) == [
        ("address", "profile_id"),
        ("profile", "aggregations"),
        ("profile", "members"),
        ("transaction", "profile_id"),
        ("transaction", "profile_id"),
        ("transaction", "purchase"),
        ("transaction", "purchase"),
    ]
    assert not any(isinstance(each, int) for each in results)


EVERY = (*STORED_AGGREGATIONS, Aggregation("next_change_at", FieldType.TIMESTAMP, "", ""))
OTHER = {
    "bigint": "coalesce({0}, 0) + 1",
    "numeric": "coalesce({0}, 0) + 1",
    "text": "concat({0}, '!')",
    "date": "coalesce({0}, '2026-10-01') + 1",
    "timestamptz": "coalesce({0}, '2028-01-01') + INTERVAL '1 microsecond'",
    "bigint[]": "array_append({0}, NULL)",
    "text[]": "array_append({0}, '')",
}


@pytest.mark.parametrize("broken_to", ["another value", "nothing"])
async def test_each_corrupted_value_is_found_and_nothing_else(
    broken_to: str, database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    # As many profiles as there are values, each of whom has another one broken.
    profile_ids = [UUID(int=number) for number in range(1, len(EVERY) + 1)]
    numbers = itertools.count(1)
    mine = WORLD.facts.profiles[ME]
    facts = replace(
        WORLD.facts,
        profiles={each: replace(mine, id=each) for each in profile_ids},
        transactions={
            number: replace(bought, id=number, profile_id=each)
            for each in profile_ids
            for bought in WORLD.facts.transactions.values()
            for number in [next(numbers)]
        },
    )
    clock.at = WORLD.as_of
    community, _ = await store_facts(database, facts)
    expected = set()
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community.id}'".encode())
        for profile_id, each in zip(profile_ids, EVERY, strict=True):
            to = OTHER[each.type.column_type].format(each.name) if broken_to == "another value" else "NULL"
            statement = (
                f"UPDATE profile_aggregations SET {each.name} = {to} WHERE community_id = %s AND profile_id = %s"
            )
            before = f"SELECT {each.name} IS NULL FROM profile_aggregations WHERE community_id = %s AND profile_id = %s"
            ((was_null,),) = owner.execute(before.encode(), [community.id, profile_id]).fetchall()
            owner.execute(statement.encode(), [community.id, profile_id])
            if not (was_null and broken_to == "nothing"):
                expected.add((f"profile {profile_id}", each.name))
    assert len(expected) > len(EVERY) / 2
    results = [each async for each in verify(database, community.id) if isinstance(each, Discrepancy)]
    assert {(each.key, each.name) for each in results} == expected


async def test_stale_values_are_not_compared(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, _ = await store(database, clock)
    clock.at = at("2028-01-01")
    assert await find_discrepancies(database, community_id) == []
    clock.at = WORLD.as_of
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("UPDATE cache_versions SET values_version = 7 WHERE community_id = %s", [community_id])
        owner.execute("UPDATE profile_aggregations SET spend_all = 1 WHERE community_id = %s", [community_id])
    assert await find_discrepancies(database, community_id) == []


@pytest.mark.parametrize(("bound", "results"), [("MAX_PROFILES_PER_RANGE", [1, 2, 3]), ("MAX_SALES_PER_RANGE", [1, 3])])
async def test_profiles_are_verified_in_ranges(
    bound: str, results: list[int], database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, {"MAX_PROFILES_PER_RANGE": 1, "MAX_SALES_PER_RANGE": 2}[bound])
    clock.at = WORLD.as_of
    ids = (UUID(int=0), ME, UUID(int=2**128 - 1))
    # The first has sales of its own to be looked at, the others have none.
    bought = {number: replace(each, profile_id=ids[0]) for number, each in WORLD.facts.transactions.items()}
    profiles = {each: replace(WORLD.facts.profiles[ME], id=each) for each in ids}
    community, _ = await store_facts(database, replace(WORLD.facts, profiles=profiles, transactions=bought))
    assert [each async for each in verify(database, community.id)] == results


@pytest.mark.slow
@property_test(2)
@given(history=histories(max_actions=25), data=st.data())
async def test_random_histories_have_no_discrepancies_now_or_at_any_instant(
    history: History, data: st.DataObject, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PROFILES_PER_STATEMENT", 2)
    *_, (_, after, clock.at) = replay(history)
    community, facts = await store_facts(database, after)
    instants = sorted(
        {each for mine in facts.profiles for each in change_instants(facts, mine, UNIX_EPOCH) if each <= clock.at}
    )
    past = data.draw(st.sampled_from(instants) if instants else st.just(clock.at), "as of")
    for as_of in (None, past, past - timedelta(microseconds=1)):
        results = verify(database, community.id, as_of)
        assert [str(each) async for each in results if not isinstance(each, int)] == []


TRAPS = ('a "b", {c}', "line\nbreak", "", "NULL", "\\", "é", "e\u0301", "B", "a")


async def test_strings_are_compared_exactly(database: Database, clock: ManualClock) -> None:
    many = [purchase("2026-10-01 12:00", "5", 1, external_id="T,1\n", items=tuple(Item(brand=each) for each in TRAPS))]
    same_instant = [purchase("2026-10-01 12:00", "5", 2, external_id=each) for each in ('"', "\u0301", None)]
    world = case("", [*many, *same_instant], {}, locations=[Location(1, "\n", state='"'), Location(2, "")])
    community_id, _ = await store(database, clock, world)
    assert await find_discrepancies(database, community_id) == []


async def test_averages_are_exact_for_all_sizes(database: Database, clock: ManualClock) -> None:
    # One unit of the last decimal beside the largest prices: far more digits than a number of DuckDB has.
    tiny = Item(price_sell=Decimal("0.000001"), quantity=Decimal("0.000001"), discounts=(Decimal("0.000001"),))
    huge = Item(price_sell=Decimal("999999999999"), quantity=Decimal(3), discounts=(Decimal("499999999999"),))
    rate = Decimal("1234567.123456789012")
    sales = [purchase("2026-10-01", "5", currency="USD", currency_rate=rate, items=(each,)) for each in (tiny, huge)]
    refund = purchase("2026-10-02", "-5", items=(huge,))
    community_id, _ = await store(database, clock, case("", [*sales, refund], {}))
    assert await find_discrepancies(database, community_id) == []
    community_id, _ = await store(database, clock, case("", [replace(sales[0], items=(tiny,)), refund], {}))
    assert await find_discrepancies(database, community_id) == []


async def test_brands_of_a_transaction_with_many_items_are_verified(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    many = tuple(Item(brand=f"brand {number}") for number in range(600))
    community_id, (only,) = await store(database, clock, case("", [purchase("2026-10-01", "5", items=many)], {}))
    async with database.read_transaction(community_id) as scope:
        assert await scope.fetchval("SELECT items_overflow FROM transactions WHERE community_id = $1", community_id)
    assert await find_discrepancies(database, community_id) == []
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        changed = "UPDATE transaction_items SET brand = 'other' WHERE transaction_id = %s AND brand = 'brand 7'"
        owner.execute(changed.encode(), [only])
    assert [each.name for each in await find_discrepancies(database, community_id)] == ["purchased_brands"]


async def test_returned_values_at_an_instant_are_verified_for_all_profiles(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    community_id, _ = await store(database, clock)
    answer = module._returned_statement()
    assert answer.count("answer.shop_count") == 1
    monkeypatch.setattr(
        module, "_returned_statement", lambda: answer.replace("answer.shop_count", "answer.shop_count + 1")
    )
    as_of = at("2026-10-01 12:00")
    results = [str(each) async for each in verify(database, community_id, as_of) if isinstance(each, Discrepancy)]
    assert results == [f"profile {ME}: shop_count is returned as 2, expected 1"]


async def test_time_zone_differences_are_reported_before_the_values_that_they_explain(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    half_past_midnight = case("", [purchase("2026-10-02 00:30", "5", 2)], {})
    community_id, _ = await store(database, clock, half_past_midnight)
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        # The one counts as POSIX does, from here to Greenwich, the other from Greenwich to here.
        owner.execute("UPDATE locations SET timezone = 'GMT-1' WHERE community_id = %s", [community_id])
    results = [str(each) for each in await find_discrepancies(database, community_id)]
    known = "is in PostgreSQL '1970-01-01 01:00:00', in DuckDB '1969-12-31 23:00:00'"
    assert results[0] == f"time zone GMT-1: 1970-01-01 00:00:00 UTC {known}"
    assert {each.split()[2] for each in results[1:]} == {"first_shop_date", "latest_shop_date", "first_shop_days"}


async def test_time_zone_differences_without_effect_are_not_reported(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, _ = await store(database, clock)
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("UPDATE locations SET timezone = 'GMT-1' WHERE community_id = %s", [community_id])
    assert await find_discrepancies(database, community_id) == []
