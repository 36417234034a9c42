"""The queue: what is due at a set time is done once, by the app's role, without listening."""

from __future__ import annotations

import asyncio
import random

import pytest

from api.profile_calls import create_profile
from clubs import Club
from hypothesis_settings import SEED, examples
from postgres_servers import on_both_servers
from query.replica_client import fetch
from regulars.jobs import refresh_due, scheduler
from regulars.jobs.queue import create_app, run_until_stopped, run_worker
from regulars.jobs.scheduler import Scheduler
from regulars.query.replica.cache import ReplicaCache
from regulars.settings import Settings

pytestmark = on_both_servers


async def snapshots(club: Club) -> int:
    """How many members were counted in a snapshot."""
    async with club.database.read_transaction(club.community.id) as scope:
        found: int = await scope.fetchval(
            "SELECT count(*) FROM snapshot_members WHERE community_id = $1", club.community.id
        )
    return found


async def test_a_snapshot_of_every_community_is_a_job_of_each_quarter_of_an_hour(club: Club) -> None:
    await create_profile(club, gender="female")
    app = create_app(club.database)
    [periodic] = app.periodic_registry.periodic_tasks.values()
    assert periodic.cron == "*/15 * * * *"
    async with app.open_async():
        # Other tests may have left a job, which can wait only once.
        await run_worker(app)
        await app.tasks["take_snapshots"].defer_async(timestamp=0)
        await run_worker(app)
    assert await snapshots(club) == 1


async def test_jobs_start_and_stop(club: Club) -> None:
    jobs = Scheduler(club.database, Settings())
    jobs.start()
    await asyncio.sleep(0)
    await jobs.stop()
    assert not any(task.get_name() == "queue" for task in asyncio.all_tasks())


async def test_a_job_that_does_not_finish_is_cancelled_by_a_stop(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    is_started, is_cancelled = asyncio.Event(), asyncio.Event()

    async def endless(*arguments: object) -> None:
        is_started.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    monkeypatch.setattr(scheduler, "STOP_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(refresh_due, "refresh_all", endless)
    jobs = Scheduler(club.database, Settings())
    jobs.start()
    await is_started.wait()
    await jobs.stop()
    assert is_cancelled.is_set()


async def test_replicas_are_caught_up_to_date(club: Club) -> None:
    caught_up: asyncio.Queue[int] = asyncio.Queue()

    class RecordingCache(ReplicaCache):
        async def catch_up(self, community_id: int) -> int:
            caught_up.put_nowait(community_id)
            return await super().catch_up(community_id)

    cache = RecordingCache(club.database, 100)
    await fetch(club, cache, "SELECT count(*) FROM members AS r")
    jobs = Scheduler(club.database, Settings(), replicas=cache)
    jobs.start()
    assert await caught_up.get() == club.community.id
    await jobs.stop()


async def test_the_queue_stops_in_any_state(club: Club) -> None:
    # A cancellation while the pool opens may be lost, so the queue must not rely on it.
    draw = random.Random(SEED)
    for steps in (draw.randrange(400) for _ in range(examples(50))):
        stopping = asyncio.Event()
        running = asyncio.create_task(run_until_stopped(club.database, stopping))
        for _ in range(steps):
            await asyncio.sleep(0)
        stopping.set()
        await asyncio.wait_for(running, 20)
