"""Whatever is kept and is not what the facts say is found; where all is well, nothing is."""

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

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


async def found(database: Database, community_id: int) -> list[Discrepancy]:
    """The differences, once the number of profiles is seen to be told."""
    told = [each async for each in verify(database, community_id)]
    assert [each for each in told if isinstance(each, int)] == [1]
    return [each for each in told if isinstance(each, Discrepancy)]


async def kept(database: Database, clock: ManualClock, world: Case = WORLD) -> tuple[int, list[int]]:
    """A community that holds the world, and its transactions' ids."""
    community, facts = await store_case(database, clock, world)
    return community.id, sorted(facts.transactions)


async def test_where_all_is_well_nothing_is_found(database: Database, clock: ManualClock) -> None:
    community_id, _ = await kept(database, clock)
    assert await found(database, community_id) == []


@pytest.mark.parametrize(
    ("breaking", "differences"),
    [
        ("UPDATE profile_aggregations SET spend_all = 1", ["profile {me}: spend_all is kept as 1, the facts say -988"]),
        (
            "UPDATE profile_aggregations SET channel = 'CM'",
            ["profile {me}: channel is kept as 'CM', the facts say None"],
        ),
        (
            "UPDATE profile_aggregations SET next_change_at = '2027-05-01'",
            ["profile {me}: next_change_at is kept as {may}, the facts say {november}"],
        ),
        ("DELETE FROM profile_aggregations", ["profile {me}: aggregations is kept as None, the facts say 'a row'"]),
        (
            "UPDATE transactions SET amount = 13 WHERE id = {first}",
            [
                "profile {me}: spend_12m is kept as -988, the facts say -987",
                "transaction {first}: amount is kept as '13', the facts say '12'",
            ],
        ),
        (
            "UPDATE transactions SET direction = 0 WHERE id = {second}",
            ["transaction {second}: direction is kept as '0', the facts say '-1'"],
        ),
        (
            "UPDATE transactions SET transacted_on = '2026-10-03' WHERE id = {second}",
            ["transaction {second}: transacted_on is kept as '2026-10-03', the facts say '2026-10-02'"],
        ),
        (
            "UPDATE transactions SET channels = 3 WHERE id = {second}",
            ["transaction {second}: channels is kept as '3', the facts say '2'"],
        ),
        (
            "UPDATE transactions SET list_value = NULL WHERE id = {first}",
            ["transaction {first}: list_value is kept as None, the facts say '10'"],
        ),
        (
            "UPDATE transactions SET discount = 1 WHERE id = {first}",
            ["transaction {first}: discount is kept as '1', the facts say '0.5'"],
        ),
        (
            "UPDATE transactions SET item_brands = NULL WHERE id = {first}",
            ["""transaction {first}: sold is kept as '{{"(1,)"}}', the facts say '{{"(1,B)"}}'"""],
        ),
        (
            "UPDATE locations SET country = 'SE' WHERE id = 1",
            ["location 1: country is kept as 'SE', the facts say 'NO'"],
        ),
        ("UPDATE addresses SET state = NULL", ["state is kept as None, the facts say 'Skåne'"]),
        (
            "DELETE FROM locations WHERE id = 2",
            ["transaction {second}: location_id is kept as '2', the facts say None"],
        ),
        (
            "DELETE FROM transactions WHERE id = {first}",
            ["transaction_id is kept as '{first}', the facts say None"],
        ),
        (
            "UPDATE transaction_claims SET transaction_id = 7",
            ["claim 1: transaction_id is kept as '7', the facts say None"],
        ),
        (
            "UPDATE profiles SET deleted_at = now()",
            ["profile {me}: aggregations is kept as 'a row', the facts say None"],
        ),
    ],
)
async def test_what_is_broken_is_found(
    breaking: str, differences: list[str], database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, (first, second) = await kept(database, clock)
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
    told = [str(each) async for each in verify(database, community_id) if isinstance(each, Discrepancy)]
    for expected in differences:
        assert any(expected.format(**names) in each for each in told), told


async def test_a_profile_that_is_gone_is_missed(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, _ = await kept(database, clock)
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("DELETE FROM profiles WHERE community_id = %s", [community_id])
    told = [each async for each in verify(database, community_id)]
    assert sorted((each.key.split()[0], each.name) for each in told if isinstance(each, Discrepancy)) == [
        ("address", "profile_id"),
        ("profile", "aggregations"),
        ("profile", "members"),
        ("transaction", "profile_id"),
        ("transaction", "profile_id"),
        ("transaction", "purchase"),
        ("transaction", "purchase"),
    ]
    assert not any(isinstance(each, int) for each in told)


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
async def test_each_value_that_is_broken_is_found_and_nothing_else(
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
    told = [each async for each in verify(database, community.id) if isinstance(each, Discrepancy)]
    assert {(each.key, each.name) for each in told} == expected


async def test_what_is_due_is_no_difference(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, _ = await kept(database, clock)
    clock.at = at("2028-01-01")
    assert await found(database, community_id) == []
    clock.at = WORLD.as_of
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("UPDATE cache_versions SET values_version = 7 WHERE community_id = %s", [community_id])
        owner.execute("UPDATE profile_aggregations SET spend_all = 1 WHERE community_id = %s", [community_id])
    assert await found(database, community_id) == []


@pytest.mark.parametrize(("bound", "told"), [("MAX_PROFILES_PER_RANGE", [1, 2, 3]), ("MAX_SALES_PER_RANGE", [1, 3])])
async def test_profiles_are_looked_at_part_by_part(
    bound: str, told: list[int], database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, {"MAX_PROFILES_PER_RANGE": 1, "MAX_SALES_PER_RANGE": 2}[bound])
    clock.at = WORLD.as_of
    ids = (UUID(int=0), ME, UUID(int=2**128 - 1))
    # The first has sales of its own to be looked at, the others have none.
    bought = {number: replace(each, profile_id=ids[0]) for number, each in WORLD.facts.transactions.items()}
    profiles = {each: replace(WORLD.facts.profiles[ME], id=each) for each in ids}
    community, _ = await store_facts(database, replace(WORLD.facts, profiles=profiles, transactions=bought))
    assert [each async for each in verify(database, community.id)] == told


@property_test(8)
@given(history=histories(max_actions=25), data=st.data())
async def test_whatever_a_history_comes_to_nothing_is_found_now_or_at_any_instant(
    history: History, data: st.DataObject, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PROFILES_PER_STATEMENT", 2)
    *_, (_, after, clock.at) = replay(history)
    community, facts = await store_facts(database, after)
    instants = sorted(
        {each for mine in facts.profiles for each in change_instants(facts, mine, EPOCH) if each <= clock.at}
    )
    past = data.draw(st.sampled_from(instants) if instants else st.just(clock.at), "as of")
    for as_of in (None, past, past - timedelta(microseconds=1)):
        told = verify(database, community.id, as_of)
        assert [str(each) async for each in told if not isinstance(each, int)] == []


TRAPS = ('a "b", {c}', "line\nbreak", "", "NULL", "\\", "é", "e\u0301", "B", "a")


async def test_texts_are_compared_as_they_are(database: Database, clock: ManualClock) -> None:
    many = [purchase("2026-10-01 12:00", "5", 1, external_id="T,1\n", items=tuple(Item(brand=each) for each in TRAPS))]
    same_instant = [purchase("2026-10-01 12:00", "5", 2, external_id=each) for each in ('"', "\u0301", None)]
    world = case("", [*many, *same_instant], {}, locations=[Location(1, "\n", state='"'), Location(2, "")])
    community_id, _ = await kept(database, clock, world)
    assert await found(database, community_id) == []


async def test_an_average_of_any_size_is_exact(database: Database, clock: ManualClock) -> None:
    # One unit of the last decimal beside the largest prices: far more digits than a number of DuckDB has.
    tiny = Item(price_sell=Decimal("0.000001"), quantity=Decimal("0.000001"), discounts=(Decimal("0.000001"),))
    huge = Item(price_sell=Decimal("999999999999"), quantity=Decimal(3), discounts=(Decimal("499999999999"),))
    rate = Decimal("1234567.123456789012")
    sales = [purchase("2026-10-01", "5", currency="USD", currency_rate=rate, items=(each,)) for each in (tiny, huge)]
    refund = purchase("2026-10-02", "-5", items=(huge,))
    community_id, _ = await kept(database, clock, case("", [*sales, refund], {}))
    assert await found(database, community_id) == []
    community_id, _ = await kept(database, clock, case("", [replace(sales[0], items=(tiny,)), refund], {}))
    assert await found(database, community_id) == []


async def test_what_was_sold_is_found_in_the_items_of_a_transaction_with_many(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    many = tuple(Item(brand=f"brand {number}") for number in range(600))
    community_id, (only,) = await kept(database, clock, case("", [purchase("2026-10-01", "5", items=many)], {}))
    async with database.read_transaction(community_id) as scope:
        assert await scope.fetchval("SELECT items_overflow FROM transactions WHERE community_id = $1", community_id)
    assert await found(database, community_id) == []
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        changed = "UPDATE transaction_items SET brand = 'other' WHERE transaction_id = %s AND brand = 'brand 7'"
        owner.execute(changed.encode(), [only])
    assert [each.name for each in await found(database, community_id)] == ["purchased_brands"]


async def test_what_is_answered_for_an_instant_is_compared_for_every_profile(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    community_id, _ = await kept(database, clock)
    answer = module._answer()
    assert answer.count("answer.shop_count") == 1
    monkeypatch.setattr(module, "_answer", lambda: answer.replace("answer.shop_count", "answer.shop_count + 1"))
    as_of = at("2026-10-01 12:00")
    told = [str(each) async for each in verify(database, community_id, as_of) if isinstance(each, Discrepancy)]
    assert told == [f"profile {ME}: shop_count is answered as 2, the facts say 1"]


async def test_a_zone_that_the_engines_know_by_other_rules_is_told_before_what_it_explains(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    half_past_midnight = case("", [purchase("2026-10-02 00:30", "5", 2)], {})
    community_id, _ = await kept(database, clock, half_past_midnight)
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        # The one counts as POSIX does, from here to Greenwich, the other from Greenwich to here.
        owner.execute("UPDATE locations SET timezone = 'GMT-1' WHERE community_id = %s", [community_id])
    told = [str(each) for each in await found(database, community_id)]
    known = "is to the database '1970-01-01 01:00:00', to DuckDB '1969-12-31 23:00:00'"
    assert told[0] == f"time zone GMT-1: 1970-01-01 00:00:00 UTC {known}"
    assert {each.split()[2] for each in told[1:]} == {"first_shop_date", "latest_shop_date", "first_shop_days"}


async def test_rules_that_differ_and_matter_to_nobody_are_not_told(
    database: Database, database_urls: tuple[str, str], clock: ManualClock
) -> None:
    community_id, _ = await kept(database, clock)
    with psycopg.connect(database_urls[0]) as owner:
        owner.execute(f"SET LOCAL regulars.community_id = '{community_id}'".encode())
        owner.execute("UPDATE locations SET timezone = 'GMT-1' WHERE community_id = %s", [community_id])
    assert await found(database, community_id) == []
