"""Refresh of outdated profiles, in batches, by one process at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from aggregations.case import ME, at, case
from aggregations.store_facts import store_facts
from clubs import ManualClock
from oracle import Facts
from regulars.jobs import refresh_due as module
from regulars.jobs.refresh_due import RefreshBacklog, measure_backlog, refresh_all, refresh_community
from regulars.storage.database import Database


def never() -> bool:
    return False


async def create_profiles(database: Database, clock: ManualClock, profiles: int) -> int:
    """Creates a community of profiles that joined on the same day, without purchases."""
    world = case("", [], {})
    profile = world.facts.profiles[ME]
    clock.at = world.as_of
    members = {UUID(int=n): replace(profile, id=UUID(int=n)) for n in range(1, profiles + 1)}
    community, _ = await store_facts(database, Facts(world.facts.community, {}, {}, members, {}))
    return community.id


async def stored_joins(database: Database, community_id: int) -> set[str]:
    """Returns the stored values of dimension_join."""
    async with database.read_transaction(community_id) as scope:
        rows = await scope.fetch(
            "SELECT dimension_join FROM profile_aggregations WHERE community_id = $1", community_id
        )
    return {row["dimension_join"] for row in rows}


async def test_due_profiles_are_refreshed_in_batches(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PROFILES", 2)
    community_id = await create_profiles(database, clock, 5)
    assert await refresh_community(database, community_id, never) == 0
    clock.at = at("2026-11-02")
    assert await stored_joins(database, community_id) == {"JN"}
    assert await refresh_community(database, community_id, never) == 5
    assert await stored_joins(database, community_id) == {"JC"}
    assert await refresh_community(database, community_id, never) == 0


async def test_profiles_with_a_changed_shared_fact_fill_the_rest_of_the_batch(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PROFILES", 3)
    community_id = await create_profiles(database, clock, 5)
    async with database.write_transaction(community_id) as scope:
        await scope.execute("UPDATE cache_versions SET values_version = 2 WHERE community_id = $1", community_id)
        await scope.execute(
            "UPDATE profile_aggregations SET next_change_at = $2 WHERE community_id = $1 AND profile_id <= $3",
            community_id,
            clock.at,
            UUID(int=2),
        )
        await scope.execute("UPDATE profile_aggregations SET values_version = 0 WHERE profile_id = $1", UUID(int=1))
    assert await refresh_community(database, community_id, never) == 5
    async with database.read_transaction(community_id) as scope:
        assert (
            await scope.fetchval(
                "SELECT min(values_version) FROM profile_aggregations WHERE community_id = $1", community_id
            )
            == 2
        )


async def test_one_process_refreshes_a_community_at_a_time(database: Database, clock: ManualClock) -> None:
    community_id = await create_profiles(database, clock, 1)
    clock.at = at("2026-11-02")
    async with database.write_transaction(community_id) as other:
        assert await other.fetchval(module._TRY_LOCK, community_id)
        assert await refresh_community(database, community_id, never) == 0
    assert await refresh_community(database, community_id, never) == 1


async def test_no_batch_is_started_after_a_stop(database: Database, clock: ManualClock) -> None:
    community_id = await create_profiles(database, clock, 1)
    clock.at = at("2026-11-02")
    assert await refresh_community(database, community_id, lambda: True) == 0


async def test_an_error_in_one_community_does_not_affect_the_others(own_database: Database, clock: ManualClock) -> None:
    communities = [await create_profiles(own_database, clock, profiles) for profiles in (1, 2, 3)]
    async with own_database.write_transaction(communities[1]) as scope:
        await scope.execute("DELETE FROM profiles WHERE community_id = $1", communities[1])
    clock.at = at("2026-11-02")
    assert await refresh_all(own_database, never) == 1 + 3
    assert [await stored_joins(own_database, each) for each in communities] == [{"JC"}, {"JN"}, {"JC"}]


async def test_a_refresh_writes_its_reason_to_the_outbox(database: Database, clock: ManualClock) -> None:
    community_id = await create_profiles(database, clock, 1)
    clock.at = at("2026-11-02")
    await refresh_community(database, community_id, never)
    async with database.read_transaction(community_id) as scope:
        rows = await scope.fetch(
            "SELECT reason, changes ->> 'dimension_join' AS joined FROM outbox WHERE community_id = $1 ORDER BY id",
            community_id,
        )
    assert [(row["reason"], row["joined"]) for row in rows] == [
        ("profile.created", '[null, "JN"]'),
        ("clock", '["JN", "JC"]'),
    ]


async def test_the_backlog_counts_outdated_profiles(own_database: Database, clock: ManualClock) -> None:
    due, _, outdated = [await create_profiles(own_database, clock, profiles) for profiles in (3, 2, 4)]
    assert await measure_backlog(own_database) == RefreshBacklog(0, 0)
    async with own_database.write_transaction(due) as scope:
        await scope.execute(
            "UPDATE profile_aggregations SET next_change_at = $2 WHERE community_id = $1 AND profile_id <= $3",
            due,
            clock.at - timedelta(seconds=90),
            UUID(int=2),
        )
    async with own_database.write_transaction(outdated) as scope:
        await scope.execute(
            "UPDATE cache_versions SET values_version = values_version + 1 WHERE community_id = $1", outdated
        )
    assert await measure_backlog(own_database) == RefreshBacklog(2 + 4, 90)
    await refresh_all(own_database, never)
    assert await measure_backlog(own_database) == RefreshBacklog(0, 0)


async def test_the_backlog_is_limited_per_community(
    own_database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_COUNTED_PROFILES", 2)
    await create_profiles(own_database, clock, 3)
    clock.at = at("2026-11-02")
    assert (await measure_backlog(own_database)).profiles == 2


async def test_each_batch_is_reported(
    own_database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PROFILES", 2)
    await create_profiles(own_database, clock, 3)
    clock.at = at("2026-11-02")
    reported: list[int] = []
    assert await refresh_all(own_database, never, reported.append) == 3
    assert reported == [2, 1]
