"""After any events in a club, every value of every profile is what the oracle says: now, and as of any instant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregations.histories import History, histories, replay
from aggregations.store_facts import differences, new_community
from aggregations.system_under_test import SystemUnderTest, replace_locations_by_ids
from clubs import ManualClock, create_club
from hypothesis_settings import property_test
from oracle import Facts, change_instants, expected_values, next_change_at
from postgres_servers import on_both_servers_if_long
from regulars.aggregations.table import VALUE_COLUMNS
from regulars.jobs.refresh_due import refresh_community
from regulars.storage.database import Database
from regulars.verify.verify import verify

pytestmark = [on_both_servers_if_long, pytest.mark.timeout(3000)]


@asynccontextmanager
async def product_of(history: History, database: Database, clock: ManualClock) -> AsyncIterator[SystemUnderTest]:
    """A club in which nothing has happened yet."""
    clock.at = history.starts_at
    async for club in create_club(database, clock, new_community(history.world)):
        product = SystemUnderTest(club)
        await product.store_world(history.world)
        yield product


async def lived(product: SystemUnderTest, history: History, clock: ManualClock, *, checked: bool = True) -> Facts:
    """The facts once the history has happened, each value compared after every action."""
    before = history.world
    for number, (action, after, now) in enumerate(replay(history)):
        clock.at = now
        await product.perform(action, before, after)
        if checked:
            await all_is_true(product, after, now)
            if number % 7 == 0:
                await is_sent_as_it_is(product, after, now)
        before = after
    return before


async def all_is_true(product: SystemUnderTest, facts: Facts, now: datetime) -> None:
    """Compares every value of every profile now."""
    values = await product.values(list(facts.profiles))
    for profile_id in facts.profiles:
        wrong = differences(values[profile_id], expected_values(facts, profile_id, now))
        assert wrong == {}, wrong


async def is_sent_as_it_is(product: SystemUnderTest, facts: Facts, now: datetime) -> None:
    """Compares what a client gets of the last profile."""
    profile_id = list(facts.profiles)[-1]
    expected = product.expected_response(expected_values(facts, profile_id, now))
    assert differences(replace_locations_by_ids(await product.sent_values(profile_id)), expected) == {}


@pytest.mark.slow
@property_test(2)
@given(history=histories(), data=st.data())
async def test_all_values_are_correct_after_every_action(
    history: History, data: st.DataObject, database: Database, clock: ManualClock
) -> None:
    async with product_of(history, database, clock) as product:
        facts = await lived(product, history, clock)
        await all_was_true(product, facts, clock.at, data)
        await nothing_claims_too_much(product, facts, clock.at)
        await the_outbox_has_every_change(product)
        assert await differing(product) == []


async def all_was_true(product: SystemUnderTest, facts: Facts, now: datetime, data: st.DataObject) -> None:
    """Compares the values at instants of the past, among them those at which something changes."""
    entities: list[tuple[UUID, datetime]] = []
    for profile_id in facts.profiles:
        long_ago = now - timedelta(days=4 * 366)
        boundaries = [each for each in change_instants(facts, profile_id, long_ago) if each <= now][-40:]
        nudged = [each + timedelta(microseconds=by) for each in boundaries for by in (-1, 0)]
        anywhere = st.timedeltas(timedelta(0), now - long_ago).map(lambda ago: now - ago)
        choices = st.sampled_from(nudged) | anywhere if nudged else anywhere
        entities += [(profile_id, at) for at in data.draw(st.lists(choices, min_size=4, max_size=8), "past")]
    for (profile_id, at), values in zip(entities, await product.values_as_of(entities), strict=True):
        assert differences(values, expected_values(facts, profile_id, at)) == {}, at


async def stored_rows(product: SystemUnderTest) -> dict[UUID, Any]:
    """The stored rows of the profiles that are not outdated, by the oracle's ids."""
    community_id = product.club.community.id
    async with product.club.database.read_transaction(community_id) as scope:
        rows = await scope.fetch(
            """
            SELECT profile_id, calculated_at, next_change_at
            FROM profile_aggregations
            WHERE community_id = $1 AND values_version = (SELECT values_version FROM cache_versions WHERE community_id = $1)
            """,
            community_id,
        )
    known = {oracle_id: profile_id for profile_id, oracle_id in product.profiles.items()}
    return {known[row["profile_id"]]: row for row in rows}


async def nothing_claims_too_much(product: SystemUnderTest, facts: Facts, now: datetime) -> None:
    """No stored row claims to be valid beyond the next change."""
    for profile_id, row in (await stored_rows(product)).items():
        stored = row["next_change_at"]
        if stored is None or stored > now:
            expected = next_change_at(facts, profile_id, now)
            assert expected is None or (stored is not None and stored <= expected), (profile_id, stored, expected)


async def the_outbox_has_every_change(product: SystemUnderTest) -> None:
    """The recorded changes, one after the other, lead to what is stored."""
    community_id = product.club.community.id
    async with product.club.database.read_transaction(community_id) as scope:
        changes = await scope.fetch(
            "SELECT profile_id, changes FROM outbox WHERE community_id = $1 ORDER BY id", community_id
        )
        rows = await scope.fetch(
            "SELECT profile_id, to_jsonb(profile_aggregations) AS stored FROM profile_aggregations WHERE community_id = $1",
            community_id,
        )
    last: dict[UUID, dict[str, object]] = {}
    for row in changes:
        standing = last.setdefault(row["profile_id"], {})
        for name, (old, new) in msgspec.json.decode(row["changes"]).items():
            assert standing.get(name) == old, name
            standing[name] = new
    for row in rows:
        stored = msgspec.json.decode(row["stored"])
        assert {name: last[row["profile_id"]].get(name) for name in VALUE_COLUMNS} == {
            name: stored[name] for name in VALUE_COLUMNS
        }


async def differing(product: SystemUnderTest) -> list[str]:
    """What verify has to say."""
    discrepancies = verify(product.club.database, product.club.community.id)
    return [str(each) async for each in discrepancies if not isinstance(each, int)]


# The clock -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@property_test(1)
@given(history=histories(max_actions=20), data=st.data())
async def test_the_refresh_job_visits_only_due_profiles(
    history: History, data: st.DataObject, database: Database, clock: ManualClock
) -> None:
    async with product_of(history, database, clock) as product:
        facts = await lived(product, history, clock, checked=False)
        for _ in range(3):
            ahead = sorted({at for each in facts.profiles for at in change_instants(facts, each, clock.at)})
            clock.at = data.draw(st.sampled_from(ahead[:6] or [clock.at]), "now")
            before = await stored_rows(product)
            up_to_date = {
                each
                for each, row in before.items()
                if row["next_change_at"] is None or row["next_change_at"] > clock.at
            }
            await all_is_true(product, facts, clock.at)
            refreshed = await refresh_community(database, product.club.community.id, lambda: False)
            assert refreshed == len(facts.profiles) - len(up_to_date)
            after = await stored_rows(product)
            assert after.keys() == facts.profiles.keys()
            for profile_id, row in after.items():
                if profile_id in up_to_date:
                    assert row == before[profile_id]
                else:
                    assert row["calculated_at"] == clock.at
                assert row["next_change_at"] is None or row["next_change_at"] > clock.at
            await nothing_claims_too_much(product, facts, clock.at)
            assert await differing(product) == []
