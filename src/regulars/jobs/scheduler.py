"""Runs periodic jobs in every process. Locks in the database keep two processes from doing the same work."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial

import structlog

from regulars.exports import cleanup
from regulars.facts import maintenance
from regulars.facts.registry import FACT_TYPES
from regulars.ingest import stored_dispatches, stored_profiles, voided_statuses
from regulars.jobs import (
    audit_retention,
    export_schedules,
    exports,
    job_list,
    per_community,
    queue,
    refresh_due,
    takeover,
)
from regulars.jobs.maintain_segments import SegmentMaintenance
from regulars.jobs.queue import WorkerOptions
from regulars.model import load_runs, verify_runs
from regulars.query.backends import Backends
from regulars.query.replica.cache import ReplicaCache
from regulars.rollups import partitions
from regulars.settings import Settings
from regulars.storage import retention
from regulars.storage.database import Database
from regulars.webhooks import dispatcher
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import WebhookDispatcher
from regulars.webhooks.worker import OnAttempt

COMPACTION_INTERVAL_SECONDS = 0.2
BACKLOG_INTERVAL_SECONDS = 10.0
"""Intervals at which a process compacts its own deltas, and those that other processes left."""

SEGMENTS_INTERVAL_SECONDS = 1.0
"""Interval at which the memberships of new segments are computed."""

STOP_TIMEOUT_SECONDS = 4.0
"""Time that running jobs have to finish their current step."""

REPLICAS_INTERVAL_SECONDS = 300.0
"""Interval at which replicas are brought up to date that no query uses."""

EXPIRY_INTERVAL_SECONDS = 6 * 3600.0
RESTATEMENT_INTERVAL_SECONDS = 10.0
"""Interval at which stored facts are brought in line with new rules of their community."""

SCHEDULES_INTERVAL_SECONDS = 10.0
EXPORT_EXPIRY_INTERVAL_SECONDS = 600.0

_log = structlog.get_logger("regulars.jobs")


class Scheduler:
    """The periodic jobs of one process.

    `on_refreshed` is called with the number of profiles of each refresh, `on_attempt` after each attempt to deliver a
    webhook.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        on_refreshed: Callable[[int], None] = lambda profiles: None,
        on_attempt: OnAttempt = lambda delivery, attempt: None,
        replicas: ReplicaCache | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._on_refreshed = on_refreshed
        self._on_attempt = on_attempt
        self._replicas = replicas or ReplicaCache(database, settings.replica_cache_mb)
        self._job_types = exports.job_types(settings, Backends(database, self._replicas))
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._segments = SegmentMaintenance(database, self._stopping.is_set)

    def start(self) -> None:
        """Starts the jobs. Each runs immediately and then at its interval."""
        for name, seconds, work in (
            ("refresh", self._settings.refresh_interval_seconds, self._refresh),
            ("compaction", COMPACTION_INTERVAL_SECONDS, self._compact),
            ("pending compaction", BACKLOG_INTERVAL_SECONDS, self._compact_pending),
            ("segments", SEGMENTS_INTERVAL_SECONDS, self._segments.run),
            ("replicas", REPLICAS_INTERVAL_SECONDS, self._catch_up_replicas),
            ("retention", 600.0, self._maintain_partitions),
            ("expiry", EXPIRY_INTERVAL_SECONDS, self._expire),
            ("restatement", RESTATEMENT_INTERVAL_SECONDS, self._restate),
            ("job takeover", self._settings.worker_timeout_seconds / takeover.HEARTBEATS, self._take_over),
            ("export schedules", SCHEDULES_INTERVAL_SECONDS, self._run_schedules),
            ("export expiry", EXPORT_EXPIRY_INTERVAL_SECONDS, self._expire_exports),
        ):
            self._tasks.append(asyncio.create_task(self._repeat(name, seconds, work), name=name))
        options = WorkerOptions(
            self._job_types, self._settings.export_concurrency, self._settings.worker_timeout_seconds
        )
        running = queue.run_until_stopped(self._database, self._stopping, options)
        self._tasks.append(asyncio.create_task(running, name="queue"))
        self._tasks.append(asyncio.create_task(self._deliver_webhooks(), name="webhooks"))

    def request_stop(self) -> None:
        """Starts no further jobs. Running jobs finish their current step."""
        self._stopping.set()

    async def stop(self) -> None:
        """Stops the jobs after their current step.

        A step that takes longer than STOP_TIMEOUT_SECONDS is cancelled. Its transaction is rolled back and retried
        later.
        """
        self.request_stop()
        if not self._tasks:
            return
        _, unfinished = await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT_SECONDS)
        for task in unfinished:
            _log.warning("job.cancelled", job=task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver_webhooks(self) -> None:
        client = WebhookClient(dispatcher.allowed_networks(self._settings))
        try:
            await WebhookDispatcher(self._database, client, self._on_attempt).run(self._stopping)
        finally:
            await client.close()

    async def _refresh(self) -> None:
        await refresh_due.refresh_all(self._database, self._stopping.is_set, self._on_refreshed)

    async def _compact(self) -> None:
        for fact_type in FACT_TYPES:
            if (compaction := fact_type.compaction) is not None:
                communities = compaction.pending_communities()
                await self._each("compaction", communities, partial(compaction.compact, self._database))

    async def _compact_pending(self) -> None:
        communities = await per_community.list_ids(self._database)
        for fact_type in FACT_TYPES:
            if fact_type.compaction is not None:
                work = partial(fact_type.compaction.compact_pending, self._database)
                await self._each("compaction", communities, work)
            if fact_type.rebuild is not None:
                await self._each("rebuild", communities, partial(fact_type.rebuild, self._database))

    async def _catch_up_replicas(self) -> None:
        await self._each("replica", self._replicas.cached_communities, self._replicas.catch_up)

    async def _maintain_partitions(self) -> None:
        await retention.maintain_partitions(self._database, self._settings.outbox_retention_days)
        await partitions.ensure(self._database)

    async def _restate(self) -> None:
        for pending, work in (
            (voided_statuses.list_pending, voided_statuses.apply),
            (stored_profiles.list_pending, stored_profiles.normalize),
            (stored_dispatches.list_pending, stored_dispatches.restate_keys),
        ):
            await self._each("restatement", await pending(self._database), partial(work, self._database))

    async def _expire(self) -> None:
        community_ids = await per_community.list_ids(self._database)
        await self._each("expiry", community_ids, partial(maintenance.delete_empty_counts, self._database))
        await self._each("expiry", community_ids, partial(maintenance.drop_expired, self._database))
        retained_days = self._settings.webhook_log_retention_days
        await self._each("expiry", community_ids, partial(dispatcher.delete_expired, self._database, retained_days))
        await job_list.delete_old_jobs(self._database)
        await audit_retention.delete_expired(self._database, self._settings)
        for delete_expired in (load_runs.delete_expired, verify_runs.delete_expired):
            work = partial(delete_expired, self._database, self._settings.run_retention_days)
            await self._each("expiry", community_ids, work)

    async def _take_over(self) -> None:
        job_types = {each.name: each for each in self._job_types}
        await takeover.take_over(self._database, job_types, self._settings.worker_timeout_seconds)
        await exports.fail_lost_exports(self._database, self._settings)

    async def _run_schedules(self) -> None:
        await export_schedules.run_due(self._database, self._settings)

    async def _expire_exports(self) -> None:
        await cleanup.delete_expired(self._database, self._settings)
        await cleanup.delete_orphans(self._database, self._settings)

    async def _each(self, name: str, community_ids: Iterable[int], work: Callable[[int], Awaitable[int]]) -> None:
        await per_community.run_for_each(name, community_ids, work, self._stopping.is_set)

    async def _repeat(self, name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        while not self._stopping.is_set():
            try:
                await work()
            except Exception:
                _log.exception("job.failed", job=name)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
