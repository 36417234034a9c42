"""The sweep: what is due is computed again, in parts, by one process at a time."""

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
    """Nobody asks to stop."""
    return False


async def kept(database: Database, clock: ManualClock, profiles: int) -> int:
    """A community of profiles that joined on one day and bought nothing."""
    world = case("", [], {})
    mine = world.facts.profiles[ME]
    clock.at = world.as_of
    members = {UUID(int=n): replace(mine, id=UUID(int=n)) for n in range(1, profiles + 1)}
    community, _ = await store_facts(database, Facts(world.facts.community, {}, {}, members, {}))
    return community.id


async def joins(database: Database, community_id: int) -> set[str]:
    """What is kept of the profiles."""
    async with database.read_transaction(community_id) as scope:
        rows = await scope.fetch(
            "SELECT dimension_join FROM profile_aggregations WHERE community_id = $1", community_id
        )
    return {row["dimension_join"] for row in rows}


async def test_what_is_due_is_swept_in_parts(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PROFILES", 2)
    community_id = await kept(database, clock, 5)
    assert await refresh_community(database, community_id, never) == 0
    clock.at = at("2026-11-02")
    assert await joins(database, community_id) == {"JN"}
    assert await refresh_community(database, community_id, never) == 5
    assert await joins(database, community_id) == {"JC"}
    assert await refresh_community(database, community_id, never) == 0


async def test_what_a_shared_fact_moved_fills_the_room_that_is_left(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PROFILES", 3)
    community_id = await kept(database, clock, 5)
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


async def test_one_process_sweeps_at_a_time(database: Database, clock: ManualClock) -> None:
    community_id = await kept(database, clock, 1)
    clock.at = at("2026-11-02")
    async with database.write_transaction(community_id) as other:
        assert await other.fetchval(module._ALONE, community_id)
        assert await refresh_community(database, community_id, never) == 0
    assert await refresh_community(database, community_id, never) == 1


async def test_who_is_asked_to_stop_begins_no_part(database: Database, clock: ManualClock) -> None:
    community_id = await kept(database, clock, 1)
    clock.at = at("2026-11-02")
    assert await refresh_community(database, community_id, lambda: True) == 0


async def test_every_community_is_swept_even_if_one_can_t_be(own_database: Database, clock: ManualClock) -> None:
    communities = [await kept(own_database, clock, profiles) for profiles in (1, 2, 3)]
    async with own_database.write_transaction(communities[1]) as scope:
        await scope.execute("DELETE FROM profiles WHERE community_id = $1", communities[1])
    clock.at = at("2026-11-02")
    assert await refresh_all(own_database, never) == 1 + 3
    assert [await joins(own_database, each) for each in communities] == [{"JC"}, {"JN"}, {"JC"}]


async def test_a_sweep_tells_the_outbox_why(database: Database, clock: ManualClock) -> None:
    community_id = await kept(database, clock, 1)
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


async def test_what_waits_for_the_sweep_is_counted(own_database: Database, clock: ManualClock) -> None:
    due, _, outdated = [await kept(own_database, clock, profiles) for profiles in (3, 2, 4)]
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


async def test_of_many_that_wait_only_some_are_counted(
    own_database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_COUNTED_PROFILES", 2)
    await kept(own_database, clock, 3)
    clock.at = at("2026-11-02")
    assert (await measure_backlog(own_database)).profiles == 2


async def test_each_part_of_a_sweep_is_told(
    own_database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PROFILES", 2)
    await kept(own_database, clock, 3)
    clock.at = at("2026-11-02")
    told: list[int] = []
    assert await refresh_all(own_database, never, told.append) == 3
    assert told == [2, 1]
