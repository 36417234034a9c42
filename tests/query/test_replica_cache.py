"""A columnar replica shows committed data, at the instant of the query, of one community only."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog

from clubs import Club, ManualClock
from query.replica_client import fetch, fetch_in
from regulars.aggregations import dirty_profiles
from regulars.jobs.refresh_due import refresh_community
from regulars.query.replica import cache as replica_cache
from regulars.query.replica import member_replica
from regulars.query.replica.cache import ReplicaCache, ReplicaCreationError, ReplicaStaleError

COUNT = "SELECT count(*) FROM members AS r"
RECENCY = f"{COUNT} WHERE r.dimension_recency = $1"


class Fills:
    """Counts replicas that are filled, each of which waits until it may end."""

    def __init__(self, fill: Callable[..., None]) -> None:
        self._fill = fill
        self.number = 0
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()

    def __call__(self, *arguments: Any) -> None:
        self.number += 1
        self.begun.set()
        self.may_end.wait()
        self._fill(*arguments)


@pytest.fixture
def fills(monkeypatch: pytest.MonkeyPatch) -> Fills:
    found = Fills(member_replica.MemberReplica.fill)
    monkeypatch.setattr(member_replica.MemberReplica, "fill", lambda *arguments: found(*arguments))
    return found


async def member(club: Club, **fields: object) -> str:
    """Makes a member; gives its id."""
    answer = await club.http.post("/api/v3/profiles", json={"joined_at": "2026-10-01 12:00:00", **fields})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["data"]["id"]
    return found


async def sale(club: Club, profile_id: str, at: str, total: int = 100) -> None:
    """A member buys."""
    body = {
        "external_id": f"{profile_id}-{at}",
        "profile_id": profile_id,
        "transacted_at": at,
        "timezone": "UTC",
        "total": total,
        "systems": ["pos"],
        "items": [],
    }
    answer = await club.http.post("/api/v3/transactions", json=body)
    assert answer.status_code == 201, answer.text


async def count(club: Club, cache: ReplicaCache, where: str = "true", values: Sequence[Any] = ()) -> int:
    """How many members a condition holds for."""
    ((found,),) = await fetch(club, cache, f"{COUNT} WHERE {where}", values)
    return int(found)


async def test_committed_changes_are_visible(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    assert await count(club, cache) == 0
    first = await member(club, gender="female")
    await member(club, gender="male")
    assert await count(club, cache) == 2
    assert await count(club, cache, "r.gender = $1", ["female"]) == 1
    assert (await club.http.put(f"/api/v3/profiles/{first}", json={"gender": "male"})).status_code == 200
    assert await count(club, cache, "r.gender = $1", ["male"]) == 2


async def test_a_sale_changes_values(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club)
    assert await count(club, cache, "r.spend_all > $1", [0]) == 0
    await sale(club, profile_id, "2026-10-31 12:00:00")
    assert await count(club, cache, "r.spend_all > $1", [9_999]) == 1


async def test_a_value_changes_by_the_clock(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club)
    await sale(club, profile_id, "2026-10-31 12:00:00")
    assert await fetch(club, cache, RECENCY, ["RC"]) == [(1,)]
    club.clock.advance(days=100)
    assert await fetch(club, cache, RECENCY, ["RC"]) == [(0,)]
    assert await fetch(club, cache, RECENCY, ["RS"]) == [(1,)]
    club.clock.advance(days=365)
    await refresh_community(club.database, club.community.id, lambda: False)
    assert await fetch(club, cache, RECENCY, ["RI"]) == [(1,)]


async def test_values_that_do_not_change_by_the_clock_are_not_computed(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club)
    await sale(club, profile_id, "2026-10-31 12:00:00")
    assert await count(club, cache, "r.join_hour = 12") == 1
    club.clock.advance(days=100)
    assert await count(club, cache, "r.join_hour = 12") == 1
    assert await fetch(club, cache, "SELECT r.dimension_join, r.join_hour FROM members AS r") == [("JC", 12)]


async def test_a_future_sale_counts_from_its_time(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club)
    assert await count(club, cache, "r.shop_count = 1") == 0
    await sale(club, profile_id, "2026-11-05 12:00:00")
    assert await count(club, cache, "r.shop_count = 1") == 0
    club.clock.advance(days=5)
    assert await count(club, cache, "r.shop_count = 1") == 1


async def test_a_future_membership_counts_from_its_time(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club, joined_at="2026-11-03 12:00:00")
    assert await count(club, cache) == 0
    club.clock.advance(days=3)
    assert await count(club, cache) == 1
    await refresh_community(club.database, club.community.id, lambda: False)
    assert await count(club, cache) == 1


async def test_a_commit_that_overlaps_a_read_is_not_missed(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id, other = await member(club), await member(club)
    change = "UPDATE members SET gender = $2, recorded_xid = pg_current_xact_id() WHERE profile_id = $1"
    async with club.database.write_transaction(club.community.id) as early:
        await early.execute(change, profile_id, "early")
        async with club.database.write_transaction(club.community.id) as late:
            await late.execute(change, other, "late")
        assert await count(club, cache, "r.gender IN ('early', 'late')") == 1
    assert await count(club, cache, "r.gender IN ('early', 'late')") == 2


async def test_an_older_snapshot_does_not_revert_a_replica(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club)
    assert await count(club, cache) == 1
    async with club.database.read_transaction(club.community.id) as before:
        assert await before.fetchval("SELECT count(*) FROM members") == 1
        profile_id = await member(club)
        await sale(club, profile_id, "2026-10-31 12:00:00")
        assert await count(club, cache) == 2
        assert await fetch_in(before, club, cache, COUNT) == [(2,)]
        # What it needs besides is read in its own snapshot, so that one answer is of one moment.
        assert await fetch_in(before, club, cache, f"{COUNT} WHERE r.shop_count = 0") == [(1,)]
        assert await fetch_in(before, club, cache, COUNT) == [(1,)]
    assert await count(club, cache, "r.shop_count = 1") == 1
    assert await count(club, cache) == 2


async def test_values_are_not_computed_from_facts_older_than_their_row(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club)
    await sale(club, profile_id, "2026-10-31 12:00:00")
    assert await count(club, cache, "r.shop_count = 1 AND r.dimension_recency = 'RC'") == 1
    async with club.database.read_transaction(club.community.id) as before:
        assert await before.fetchval("SELECT count(*) FROM members") == 1
        await sale(club, profile_id, "2026-10-30 12:00:00")
        assert await count(club, cache, "r.shop_count = 2") == 1
        long_after = club.clock() + timedelta(days=100)
        await fetch_in(before, club, cache, RECENCY, ["RC"], long_after)
    club.clock.advance(days=100)
    assert await count(club, cache, "r.shop_count = 2 AND r.dimension_recency = 'RS'") == 1


async def test_a_purged_profile_is_removed_from_the_replica(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club, properties={"language": "no"})
    assert await count(club, cache, "json_extract_string(r.properties, $1) = $2", ["/language", "no"]) == 1
    assert (await club.http.delete(f"/api/v3/profiles/{profile_id}")).status_code in (200, 204)
    assert await fetch(club, cache, "SELECT r.profile_id, r.properties FROM members AS r") == []


async def test_a_replica_is_changed_while_a_statement_reads_it(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await sale(club, await member(club), "2026-10-31 12:00:00")
    assert await count(club, cache) == 1
    table = cache.replica(club.community.id)
    with table._connection.cursor() as reading:
        reading.execute("BEGIN")
        assert reading.execute("SELECT count(*) FROM community.members").fetchall() == [(1,)]
        assert await count(club, cache, "r.spend_all > $1", [0]) == 1
        assert cache.replica(club.community.id) is table
        assert table._changed > 0
    await member(club)
    assert await count(club, cache) == 2
    assert table._changed == 0


async def test_two_communities_never_mix(club: Club, other_club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club, subunit_ids=[1])
    await member(other_club, subunit_ids=[2])
    await member(other_club, subunit_ids=[2, 3])
    assert await count(club, cache) == 1
    assert await count(other_club, cache) == 2
    assert await count(club, cache, "list_has_any(r.subunit_ids, $1)", [[2, 3]]) == 0
    assert await count(other_club, cache, "list_has_any(r.subunit_ids, $1)", [[1, 2, 3]]) == 2


async def test_a_replica_is_created_within_its_own_community_only(club: Club, other_club: Club) -> None:
    await member(other_club)
    async with club.database.read_transaction(club.community.id) as scope:
        with pytest.raises(LookupError, match="another community"):
            await fetch_in(scope, other_club, ReplicaCache(club.database, 100), COUNT)


async def test_concurrent_requests_wait_for_one_replica(club: Club, fills: Fills) -> None:
    await member(club)
    cache = ReplicaCache(club.database, 100)
    assert await asyncio.gather(*(count(club, cache) for _ in range(4))) == [1] * 4
    assert fills.number == 1


async def test_the_least_recently_used_replicas_are_evicted_first(club: Club, other_club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await count(club, cache)
    await count(other_club, cache)
    assert cache.cached_communities == [club.community.id, other_club.community.id]
    await count(club, cache)
    assert cache.cached_communities == [other_club.community.id, club.community.id]
    small = ReplicaCache(club.database, 0)
    await count(club, small)
    await count(other_club, small)
    assert small.cached_communities == [other_club.community.id]


# Replicas that no query uses ----------------------------------------------------------------------------


async def test_a_replica_catches_up_while_no_query_uses_it(club: Club, fills: Fills) -> None:
    clock = ManualClock()
    cache = ReplicaCache(club.database, 100, clock=clock)
    await sale(club, await member(club), "2026-10-31 12:00:00")
    assert await count(club, cache, "r.spend_all > 0") == 1
    before = cache.caught_up_at(club.community.id)
    for _ in range(3):
        clock.advance(minutes=50)
        club.clock.advance(minutes=50)
        await sale(club, await member(club), "2026-10-31 12:00:00")
        assert await cache.catch_up(club.community.id) == 1
    table = cache.replica(club.community.id)
    assert table._number("SELECT count(*) FROM community.members WHERE spend_all > 0") == 4
    caught_up_at = cache.caught_up_at(club.community.id)
    assert before is not None
    assert caught_up_at == before + timedelta(minutes=150)
    assert await count(club, cache, "r.spend_all > 0") == 4
    assert fills.number == 1


async def test_catching_up_is_no_use_of_a_replica(
    club: Club, other_club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_cache, "MAX_IDLE", timedelta(hours=2))
    clock = ManualClock()
    cache = ReplicaCache(club.database, 100, clock=clock)
    await count(club, cache)
    await count(other_club, cache)
    for expected in (1, 1, 0):
        assert cache.cached_communities[0] == club.community.id
        clock.advance(minutes=59)
        assert await cache.catch_up(club.community.id) == expected
    assert club.community.id not in cache.cached_communities


async def test_a_replica_that_has_not_caught_up_is_created_again(club: Club, fills: Fills) -> None:
    clock = ManualClock()
    cache = ReplicaCache(club.database, 100, clock=clock)
    await count(club, cache)
    clock.advance(minutes=59)
    await count(club, cache)
    assert fills.number == 1
    clock.advance(minutes=61)
    await count(club, cache)
    assert fills.number == 2


async def test_a_replica_that_fails_to_catch_up_is_dropped(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ReplicaCache(club.database, 100)
    await count(club, cache)
    await member(club)
    with monkeypatch.context() as patched:
        patched.setattr(member_replica.MemberReplica, "replace_members", _fail)
        with pytest.raises(OSError, match="no space"):
            await cache.catch_up(club.community.id)
    assert cache.cached_communities == []
    assert await cache.catch_up(club.community.id) == 0
    assert await count(club, cache) == 1


async def test_a_replica_that_is_evicted_meanwhile_does_not_catch_up(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await count(club, cache)
    async with cache._locks[club.community.id]:
        catching_up = asyncio.create_task(cache.catch_up(club.community.id))
        while not cache._locks[club.community.id]._waiters:  # noqa: ASYNC110 - until it waits
            await asyncio.sleep(0)
        cache._replicas.clear()
    assert await catching_up == 0


async def test_a_replica_is_recreated_after_a_failure(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club)
    assert await count(club, cache) == 1
    await member(club)
    with monkeypatch.context() as patched:
        patched.setattr(member_replica.MemberReplica, "replace_members", _fail)
        with pytest.raises(OSError, match="no space"):
            await count(club, cache)
    assert cache.cached_communities == []
    assert await count(club, cache) == 2


def _fail(*arguments: object) -> None:
    raise OSError("no space")


async def test_a_cancelled_request_leaves_the_replica_complete(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club)
    assert await count(club, cache) == 1
    replica = cache.replica(club.community.id)
    await member(club)
    task = asyncio.create_task(count(club, cache))
    while cache.cached_communities:  # noqa: ASYNC110 - until it is at work
        await asyncio.sleep(0)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cache.replica(club.community.id) is replica
    assert await count(club, cache) == 2


# Creation -----------------------------------------------------------------------------------------------


async def test_a_replica_is_created_to_the_end_though_no_request_waits_for_it(club: Club, fills: Fills) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club)
    fills.may_end.clear()
    async with club.database.read_transaction(club.community.id) as scope:
        with pytest.raises(ReplicaCreationError, match="copied into memory"):
            await fetch_in(scope, club, cache, COUNT, max_wait_seconds=0.0)
    cancelled = asyncio.create_task(count(club, cache))
    await asyncio.to_thread(fills.begun.wait)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    waiting = asyncio.create_task(count(club, cache))
    fills.may_end.set()
    assert await waiting == 1
    assert fills.number == 1


async def test_first_requests_for_different_columns_share_a_replica(club: Club, fills: Fills) -> None:
    cache = ReplicaCache(club.database, 100)
    await sale(club, await member(club, gender="female"), "2026-10-31 12:00:00")
    conditions = ("r.gender = 'female'", "r.spend_all > 0", "r.shop_count = 1", "r.join_hour = 12")
    assert await asyncio.gather(*(count(club, cache, each) for each in conditions)) == [1] * 4
    assert fills.number == 1


async def test_a_replica_that_was_evicted_before_its_first_request_is_created_for_that(
    club: Club, fills: Fills
) -> None:
    cache = ReplicaCache(club.database, 100)
    fills.may_end.clear()
    waiting = asyncio.create_task(count(club, cache))
    await asyncio.to_thread(fills.begun.wait)
    creation = cache._creations[club.community.id]
    async with cache._locks[club.community.id]:
        fills.may_end.set()
        await creation
        cache._replicas.clear()
    assert await waiting == 0
    assert fills.number == 2


async def test_a_failed_creation_is_reported_to_all_who_wait_and_begun_again(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ReplicaCache(club.database, 100)
    with monkeypatch.context() as patched, structlog.testing.capture_logs() as logs:
        patched.setattr(member_replica.MemberReplica, "fill", _fail)
        failed = await asyncio.gather(count(club, cache), count(club, cache), return_exceptions=True)
    assert [str(each) for each in failed] == ["no space"] * 2
    assert [each["event"] for each in logs] == ["replica.creation_failed"]
    assert await count(club, cache) == 0


async def test_closing_cancels_the_creation_of_replicas(club: Club, fills: Fills) -> None:
    cache = ReplicaCache(club.database, 100)
    fills.may_end.clear()
    waiting = asyncio.create_task(count(club, cache))
    await asyncio.to_thread(fills.begun.wait)
    fills.may_end.set()
    await cache.close()
    with pytest.raises(ReplicaCreationError):
        await waiting
    assert cache.cached_communities == []


@pytest.mark.parametrize("method", ["due_profile_ids", "count_due"])
async def test_a_cancelled_refresh_has_the_replica_until_its_thread_ends(
    club: Club, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(replica_cache, "REFRESH_BATCH", 1)
    for _ in range(2):
        await sale(club, await member(club), "2026-10-31 12:00:00")
    cache = ReplicaCache(club.database, 100, max_refresh_seconds=-1.0)
    club.clock.advance(days=100)
    began, may_end = threading.Event(), threading.Event()
    work = getattr(member_replica.MemberReplica, method)

    def blocked(*arguments: Any) -> Any:
        began.set()
        may_end.wait()
        return work(*arguments)

    monkeypatch.setattr(member_replica.MemberReplica, method, blocked)
    refresh = asyncio.create_task(fetch(club, cache, RECENCY, ["RS"]))
    await asyncio.to_thread(began.wait)
    lock = cache._locks[club.community.id]
    was_locked = []
    for _ in range(2):
        refresh.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        was_locked.append(lock.locked())
    may_end.set()
    assert was_locked == [True, True]
    with pytest.raises(asyncio.CancelledError):
        await refresh
    assert not lock.locked()
    assert await count(club, cache) == 2


async def test_many_stale_values_are_refreshed_in_several_requests(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_cache, "REFRESH_BATCH", 2)
    for _ in range(5):
        await sale(club, await member(club), "2026-10-31 12:00:00")
    cache = ReplicaCache(club.database, 100, max_refresh_seconds=-1.0)
    club.clock.advance(days=100)
    with pytest.raises(ReplicaStaleError, match="Retry in 1 seconds") as refused:
        await fetch(club, cache, RECENCY, ["RS"])
    assert refused.value.retry_after == 1
    with pytest.raises(ReplicaStaleError):
        await fetch(club, cache, RECENCY, ["RS"])
    assert await fetch(club, cache, RECENCY, ["RS"]) == [(5,)]


async def test_values_of_an_older_version_are_refreshed(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club, joined_at="2026-07-31 23:30:00")
    first = [profile_id, "JC"]
    join = f"{COUNT} WHERE r.profile_id = $1 AND r.dimension_join = $2"
    assert await fetch(club, cache, join, first) == [(1,)]
    answer = await club.http.get(f"/api/v3/profiles/{profile_id}")
    assert answer.status_code == 200
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute("UPDATE communities SET timezone = 'Pacific/Auckland' WHERE id = $1", scope.community_id)
        await scope.execute(
            "UPDATE cache_versions SET values_version = values_version + 1 WHERE community_id = $1", scope.community_id
        )
    assert await fetch(club, cache, join, first) == [(1,)]
    await refresh_community(club.database, club.community.id, lambda: False)
    assert await fetch(club, cache, join, first) == [(1,)]


async def test_values_made_dirty_by_a_running_load_are_computed_up_to_a_limit(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ReplicaCache(club.database, 100)
    profile_id = await member(club)
    await sale(club, profile_id, "2026-10-30 12:00:00")
    assert await count(club, cache, "r.dimension_recency = $1", ["RC"]) == 1
    async with club.database.write_transaction(club.community.id) as scope:
        await dirty_profiles.mark_dirty(scope, 1, [UUID(profile_id)], ["transaction.updated"])
        await scope.execute("UPDATE transactions SET is_void = true WHERE community_id = $1", scope.community_id)
    assert await count(club, cache, "r.dimension_recency = $1", ["R0"]) == 1
    monkeypatch.setattr(replica_cache, "REFRESH_BATCH", 0)
    with pytest.raises(ReplicaStaleError, match="Retry in 30 seconds"):
        await count(club, cache, "r.dimension_recency = $1", ["R0"])
    assert await count(club, cache) == 1


async def test_a_member_without_values_is_not_refreshed_again(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club)
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute("DELETE FROM profile_aggregations WHERE community_id = $1", scope.community_id)
        # A row of a member without its facts, which the values are computed from.
        await scope.execute(
            """
            INSERT INTO members (community_id, profile_id, member_id, is_member)
            VALUES ($1, gen_random_uuid(), 999, true)
            """,
            scope.community_id,
        )
    assert await fetch(club, cache, RECENCY, ["R0"]) == [(1,)]
    assert await count(club, cache) == 2


async def test_values_refreshed_by_another_process_are_not_computed_again(club: Club) -> None:
    cache = ReplicaCache(club.database, 100)
    await member(club, joined_at="2026-10-01 12:00:00")
    assert await fetch(club, cache, RECENCY, ["R0"]) == [(1,)]
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "UPDATE cache_versions SET values_version = values_version + 1 WHERE community_id = $1", scope.community_id
        )
    assert await refresh_community(club.database, club.community.id, lambda: False) == 1
    assert await fetch(club, cache, RECENCY, ["R0"]) == [(1,)]
    assert cache.replica(club.community.id).oldest_version == 2


async def test_a_replica_of_a_small_club_is_created_quickly(club: Club) -> None:
    await member(club)
    await count(club, ReplicaCache(club.database, 100))
    began = time.process_time()
    await count(club, ReplicaCache(club.database, 100))
    assert time.process_time() - began < 0.5
