"""How a value went over time: what it was at the start, and every change after."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregations.case import ME, at, case, purchase
from aggregations.histories import outcomes
from aggregations.store_facts import store_case, store_facts
from aggregations.system_under_test import LOCATIONS, decode, to_wire
from clubs import ManualClock
from hypothesis_settings import property_test
from oracle import Facts, expected_values
from regulars.aggregations import history
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.reader import ValueReader
from regulars.core.errors import ValidationError
from regulars.storage.database import Database, Scope
from regulars.web.bodies import encode

DIFFERS = [name for name in REGISTRY.by_name if name != "calculated_at"]


async def read_changes(
    scope: Scope, reader: ValueReader, profile_id: Any, name: str, start: datetime, end: datetime
) -> Any:
    """A history as a client gets it, locations by their ids."""
    changes = await history.value_changes(reader, scope, profile_id, [REGISTRY.by_name[name]], start, end)
    decoded = decode(encode(changes[name]))
    if name in LOCATIONS:
        return [each | {"value": each["value"] and each["value"]["id"]} for each in decoded]
    return decoded


@pytest.mark.slow
@property_test(5)
@given(outcome=outcomes(max_actions=20), data=st.data())
async def test_a_value_is_constant_between_two_changes(
    outcome: tuple[Facts, datetime], data: st.DataObject, database: Database, clock: ManualClock
) -> None:
    facts, now = outcome
    clock.at = now
    community, facts = await store_facts(database, facts)
    start = now - timedelta(days=data.draw(st.integers(0, 1000), "days"))
    names = data.draw(st.lists(st.sampled_from(DIFFERS), min_size=3, max_size=3, unique=True), "names")
    instants = data.draw(st.lists(st.datetimes(start.replace(tzinfo=None), now.replace(tzinfo=None)), max_size=8))
    reader = ValueReader(database)
    async with database.read_transaction(community.id) as scope:
        for profile_id in facts.profiles:
            for name in names:
                changes = await read_changes(scope, reader, profile_id, name, start, now)
                assert changes[0]["at"] == to_wire(start)
                assert all(one["value"] != later["value"] for one, later in pairwise(changes))
                known = [at(each["at"]) for each in changes]
                for instant in [start, *known, *(each.replace(tzinfo=start.tzinfo) for each in instants), now]:
                    last = [each["value"] for each in changes if at(each["at"]) <= instant][-1]
                    expected = expected_values(facts, profile_id, instant)[name]
                    assert last == (str(expected) if name == "profile_id" else to_wire(expected)), (name, instant)


async def test_the_end_of_a_history_is_inclusive(database: Database, clock: ManualClock) -> None:
    world = case("", [purchase("2026-10-01 12:00", "1"), purchase("2026-10-02 12:00", "1")], {})
    community, _ = await store_case(database, clock, world)
    start = at("2026-09-01")
    async with database.read_transaction(community.id) as scope:
        for end, counts in [("2026-10-02 11:59:59", [0, 1]), ("2026-10-02 12:00", [0, 1, 2])]:
            changes = await read_changes(scope, ValueReader(database), ME, "shop_count", start, at(end))
            assert [each["value"] for each in changes] == counts


async def test_the_history_of_a_constant_value_is_one_entry(database: Database, clock: ManualClock) -> None:
    world = case("", [purchase("2026-10-01 12:00", "1")], {})
    community, _ = await store_case(database, clock, world)
    async with database.read_transaction(community.id) as scope:
        for name, value in [("total_referred", None), ("profile_id", str(ME))]:
            changes = await read_changes(scope, ValueReader(database), ME, name, at("2026-09-01"), world.as_of)
            assert changes == [{"at": "2026-09-01 00:00:00", "value": value}]


async def test_a_history_with_too_many_change_points_is_rejected(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_CHANGE_POINTS", 3)
    world = case("", [purchase(f"2026-10-0{day} 12:00", "1") for day in range(1, 6)], {})
    community, _ = await store_case(database, clock, world)
    async with database.read_transaction(community.id) as scope:
        with pytest.raises(ValidationError, match="more than 3 change points"):
            await read_changes(scope, ValueReader(database), ME, "shop_count", at("2026-09-01"), world.as_of)
