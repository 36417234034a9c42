"""Why a value is what it is: the transactions that are shown are those that make it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregations.case import ME, at, case, purchase
from aggregations.histories import outcomes
from aggregations.store_facts import store_case, store_facts
from clubs import ManualClock
from hypothesis_settings import property_test
from oracle import Facts, Item, Location, Product, expected_values, transaction_order
from regulars.aggregations import explain
from regulars.aggregations.definitions import REGISTRY
from regulars.storage.database import Database, Scope

MADE_OF_TRANSACTIONS = [each.name for each in REGISTRY.aggregations if each.explain_filter is not None]


async def explaining_ids(scope: Scope, profile_id: UUID, name: str, as_of: datetime) -> list[int]:
    """The ids of the transactions that made a value, in order."""
    rows = await explain.contributing_rows(scope, profile_id, REGISTRY.by_name[name], as_of)
    assert rows["transactions_count"] == len(rows["transactions"])
    return [each["id"] for each in rows["transactions"]]


@pytest.mark.slow
@property_test(3)
@given(outcome=outcomes(max_actions=30), data=st.data())
async def test_the_explaining_transactions_alone_determine_the_value(
    outcome: tuple[Facts, datetime], data: st.DataObject, database: Database, clock: ManualClock
) -> None:
    facts, now = outcome
    clock.at = now
    community, facts = await store_facts(database, facts)
    names = data.draw(st.lists(st.sampled_from(MADE_OF_TRANSACTIONS), min_size=8, max_size=8, unique=True))
    async with database.read_transaction(community.id) as scope:
        for profile_id in facts.profiles:
            expected = expected_values(facts, profile_id, now)
            for name in names:
                ids = await explaining_ids(scope, profile_id, name, now)
                shown = {key: facts.transactions[key] for key in ids}
                assert ids == [each.id for each in sorted(shown.values(), key=transaction_order)]
                alone = replace(facts, transactions=shown)
                assert expected_values(alone, profile_id, now)[name] == expected[name], name


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("spend_all", [1, 2, 3, 4, 5]),
        ("shop_count", [1, 3, 4]),
        ("spend_first_date", [1]),
        ("spend_last_date", [5]),
        ("dimension_recency", [4]),
        ("store_join", [1]),
        ("latest_transacted_location", [4]),
        ("most_spend_location", [1]),
        ("transacted_locations", [1, 4]),
        ("purchased_brands", [1]),
        ("first_shop_date", [1]),
        ("second_shop_date", [1, 3]),
        ("previous_shop_date", [3, 4]),
        ("latest_shop_spend", [4]),
        ("channel", [4]),
        ("likely_country", [1]),
    ],
)
async def test_only_transactions_that_determine_a_value_explain_it(
    name: str, days: list[int], database: Database, clock: ManualClock
) -> None:
    world = case(
        "",
        [
            purchase("2026-10-01 12:00", "100", 1, items=(Item(product_id=1), Item(is_void=True, brand="B"))),
            purchase("2026-10-02 12:00", "-10", 2, items=(Item(quantity=-1 * Item().quantity, brand="B"),)),
            purchase("2026-10-03 12:00", "30", items=(Item(),)),
            purchase("2026-10-04 12:00", "10", 2, systems=("web",)),
            purchase("2026-10-05 12:00", "0"),
            purchase("2026-10-06 12:00", "50", is_void=True),
        ],
        {},
        locations=[Location(1, "10", country="NO"), Location(2, "9")],
        products=[Product(1, "Acme")],
    )
    community, facts = await store_case(database, clock, world)
    async with database.read_transaction(community.id) as scope:
        ids = await explaining_ids(scope, ME, name, world.as_of)
        assert [facts.transactions[each].transacted_at.day for each in ids] == days


async def test_values_that_do_not_depend_on_transactions_have_none(database: Database, clock: ManualClock) -> None:
    world = case(
        "", [purchase("2026-10-01 12:00", "100", 1)], {}, joined="2026-08-03 10:11:12", preferred_location_id=2
    )
    community, _ = await store_case(database, clock, world)
    async with database.read_transaction(community.id) as scope:
        none = {"transactions_count": 0, "transactions": []}
        for name, facts in [("join_day", {"joined_at": "2026-08-03 10:11:12"}), ("total_referred", {})]:
            assert await explain.contributing_rows(scope, ME, REGISTRY.by_name[name], at("2026-11-01")) == none | {
                "facts": facts
            }
        country = await explain.contributing_rows(scope, ME, REGISTRY.by_name["likely_country"], at("2026-11-01"))
        assert country["facts"]["preferred_location_id"] == 2


async def test_all_explaining_transactions_are_counted(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = case("", [purchase(f"2026-10-0{day} 12:00", "1") for day in range(1, 6)], {})
    community, _ = await store_case(database, clock, world)
    monkeypatch.setattr(explain, "MAX_TRANSACTIONS", 2)
    explain.explain_statement.cache_clear()
    async with database.read_transaction(community.id) as scope:
        rows = await explain.contributing_rows(scope, ME, REGISTRY.by_name["spend_all"], world.as_of)
    explain.explain_statement.cache_clear()
    assert (rows["transactions_count"], len(rows["transactions"])) == (5, 2)
