"""Exports metrics to Prometheus: any process of a server reports the values of all of them."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from regulars.facts.maintenance import measure_fact_types
from regulars.ingest.transactions import StoredTransaction
from regulars.ingest.write_queue import CommitResult
from regulars.jobs import job_list
from regulars.jobs.refresh_due import measure_backlog
from regulars.loading.batches import LoadSummary
from regulars.observability import metrics
from regulars.observability.metrics import MetricSpec, MetricType
from regulars.observability.shared_counters import SharedCounters
from regulars.observability.shared_read import SharedRead
from regulars.segments.invalid import list_invalid
from regulars.storage.database import Database
from regulars.webhooks import backlog as webhook_backlog
from regulars.webhooks.client import Attempt
from regulars.webhooks.queue import DueDelivery

SAMPLE_INTERVAL_SECONDS = 1.0
"""How often a process updates its gauges for the other processes."""

DATABASE_CACHE_SECONDS = 5.0
"""How long values read from the database are reused, so that scraping is cheap."""

DATABASE_TIMEOUT_SECONDS = 5.0
"""How long a scrape waits for them. Prometheus drops all metrics of a scrape that takes more than 10 seconds."""

_log = structlog.get_logger("regulars.telemetry")


class MetricsExporter:
    """Counts the metrics of one process, and exports those of all processes that use the same folder.

    `routes` are the method and path of each endpoint.
    """

    def __init__(self, database: Database, routes: Sequence[tuple[str, str]] = (), folder: Path | None = None) -> None:
        self._database = database
        layout = _slot_layout(tuple(routes), metrics.process_metrics())
        self._specs, self._slots, self._request_slots = layout.specs, layout.slots, layout.request_slots
        if folder is not None:
            # During an upgrade, processes with other metrics run at the same time.
            folder /= hashlib.sha256(repr(self._slots).encode()).hexdigest()[:16]
            folder.mkdir(exist_ok=True)
        self._counters = SharedCounters(layout.count, folder)
        self._own = self._counters.own
        self._row_slots = {
            labels[0]: self._slots[metrics.TRANSACTION_ROWS.name, *labels]
            for labels in metrics.TRANSACTION_ROWS.label_values
        }
        self._process_collector = ProcessCollector(registry=None)
        self._cpu_seconds = 0.0
        self._sample_timer: asyncio.TimerHandle | None = None
        self._database_read = SharedRead(self._measure_database)
        self._database_values: tuple[float, dict[str, float]] = (0.0, {})

    # Events -----------------------------------------------------------------------------------------

    def observe_request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Counts a response and its duration."""
        own = self._own
        slot_by_status, duration_slot = self._request_slots[method, path]
        own[slot_by_status[status]] += 1
        own[duration_slot + metrics.bucket_index(seconds)] += 1
        own[duration_slot + metrics.SUM_INDEX] += seconds

    def observe_commit(self, results: Sequence[CommitResult]) -> None:
        """Counts a batch of transactions and its rows."""
        self._add(1, metrics.TRANSACTION_BATCHES)
        # Requests with the same idempotency key in one batch share their result.
        for result in {id(each): each for each in results}.values():
            for outcome in result.outcomes:
                label = outcome.status.value if isinstance(outcome, StoredTransaction) else "rejected"
                self._own[self._row_slots[label]] += 1

    def import_progress(self, entity: str) -> Callable[[LoadSummary], None]:
        """Returns a progress callback that counts the rows of one import after each of its batches."""
        counted = LoadSummary()

        def progress(summary: LoadSummary) -> None:
            for outcome in ("accepted", "unchanged", "rejected"):
                total = getattr(summary, outcome)
                self._own[self._slots[metrics.IMPORT_ROWS, entity, outcome]] += total - getattr(counted, outcome)
                setattr(counted, outcome, total)

        return progress

    def observe_provider_events(self, provider: str, counts: Mapping[str, int]) -> None:
        """Counts the events of a provider's webhook, by outcome."""
        for outcome, number in counts.items():
            self._add(number, metrics.PROVIDER_EVENTS, provider, outcome)

    def observe_refresh(self, profiles: int) -> None:
        """Counts profiles whose values the refresh job has recomputed."""
        self._add(profiles, metrics.PROFILES_REFRESHED)

    def observe_webhook_attempt(self, delivery: DueDelivery, attempt: Attempt) -> None:
        """Counts an attempt to deliver a webhook."""
        self._add(1, metrics.WEBHOOK_ATTEMPTS, "delivered" if attempt.is_delivered else "failed")

    def _add(self, amount: float, metric: MetricSpec, *labels: str) -> None:
        self._own[self._slots[metric.name, *labels]] += amount

    # Gauges -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts updating the gauges of this process."""
        self._sample()
        self._sample_timer = asyncio.get_running_loop().call_later(SAMPLE_INTERVAL_SECONDS, self.start)

    def stop(self) -> None:
        """Stops updating them."""
        if self._sample_timer is not None:
            self._sample_timer.cancel()
        self._database_read.stop()

    def _sample(self) -> None:
        pool = self._database.pool
        idle = 0 if pool is None else pool.get_idle_size()
        self._set(idle, metrics.DATABASE_CONNECTIONS, "idle")
        self._set(0 if pool is None else pool.get_size() - idle, metrics.DATABASE_CONNECTIONS, "used")
        self._set(1, metrics.WORKERS)
        # The collector returns nothing on systems without /proc.
        values = {metric.name: metric.samples[0].value for metric in self._process_collector.collect()}
        for metric in (metrics.RESIDENT_MEMORY, metrics.OPEN_FILES, metrics.START_TIME):
            self._set(values.get(metric.name, 0.0), metric)
        # Added, not set: the next process continues the counter of one that has ended, so the sum never falls.
        cpu_seconds = values.get(metrics.CPU_SECONDS.name, 0.0)
        self._add(cpu_seconds - self._cpu_seconds, metrics.CPU_SECONDS)
        self._cpu_seconds = cpu_seconds

    def _set(self, value: float, metric: MetricSpec, *labels: str) -> None:
        self._own[self._slots[metric.name, *labels]] = value

    # Scrapes ----------------------------------------------------------------------------------------

    async def exposition(self) -> tuple[bytes, str]:
        """The metrics of all processes in Prometheus' text format, and its media type."""
        self._sample()
        database_families = _database_families(await self._read_database())
        registry = CollectorRegistry()
        registry.register(_FixedCollector([*self._process_families(), *database_families]))
        return exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST

    async def _read_database(self) -> dict[str, float]:
        """The values of the database's metrics by name; only `database_up` if it is not available."""
        read_at, values = self._database_values
        if values and time.monotonic() - read_at < DATABASE_CACHE_SECONDS:
            return values
        try:
            return await self._database_read.result(DATABASE_TIMEOUT_SECONDS)
        except TimeoutError as error:
            _log.error("metrics.failed", reason=str(error))
            return {metrics.DATABASE_UP.name: 0}

    async def _measure_database(self) -> dict[str, float]:
        values: dict[str, float]
        try:
            backlog = await measure_backlog(self._database)
            webhooks = await webhook_backlog.measure(self._database)
            jobs = await job_list.count_by_status(self._database, ("queued", "running", "failed"))
            values = {
                metrics.DATABASE_UP.name: 1,
                metrics.REFRESH_BACKLOG.name: backlog.profiles,
                metrics.REFRESH_LAG.name: backlog.oldest_seconds,
                metrics.JOBS_QUEUED.name: jobs["queued"],
                metrics.JOBS_RUNNING.name: jobs["running"],
                metrics.JOBS_FAILED.name: jobs["failed"],
                metrics.WEBHOOK_BACKLOG.name: webhooks.undelivered,
                metrics.WEBHOOKS_DISABLED.name: webhooks.disabled,
                metrics.SEGMENTS_INVALID.name: len(await list_invalid(self._database)),
                **await measure_fact_types(self._database),
            }
        except Exception:
            _log.exception("metrics.failed")
            values = {metrics.DATABASE_UP.name: 0}
        self._database_values = time.monotonic(), values
        return values

    def _process_families(self) -> Iterator[Metric]:
        processes = list(self._counters.read_all())
        all_counters = [counters for _, counters in processes]
        live_counters = [counters for is_live, counters in processes if is_live]
        start = 0
        for metric in self._specs:
            width = metric.slots_per_series
            end = start + len(metric.label_values) * width
            sources = live_counters if metric.kind is MetricType.GAUGE else all_counters
            combined = list(map(metric.combine, zip(*(counters[start:end] for counters in sources), strict=True)))
            yield metric.to_family([combined[at : at + width] for at in range(0, len(combined), width)])
            start = end


@dataclass(frozen=True)
class _SlotLayout:
    """Where the counters of one process are.

    `slots` has the first slot of each series by the metric's name and labels, `count` is the number of slots of all.
    `request_slots` has the slots of a route's responses by status, and that of its durations, by method and path.
    """

    specs: tuple[MetricSpec, ...]
    slots: Mapping[tuple[str, ...], int]
    count: int
    request_slots: Mapping[tuple[str, str], tuple[Mapping[int, int], int]]


@cache
def _slot_layout(routes: tuple[tuple[str, str], ...], process_metrics: tuple[MetricSpec, ...]) -> _SlotLayout:
    """The layout for processes with these routes, each a method and a path, and these further metrics."""
    requests, durations = metrics.request_metrics(routes)
    specs = (requests, durations, *process_metrics)
    slots: dict[tuple[str, ...], int] = {}
    count = 0
    for metric in specs:
        for labels in metric.label_values:
            slots[metric.name, *labels] = count
            count += metric.slots_per_series
    request_slots = {
        route: (
            {status: slots[requests.name, *route, str(status)] for status in metrics.HTTP_STATUSES},
            slots[durations.name, *route],
        )
        for route in routes
    }
    return _SlotLayout(specs, slots, count, request_slots)


def _database_families(values: Mapping[str, float]) -> Iterator[Metric]:
    for metric in metrics.database_metrics():
        if metric.name in values:
            yield metric.to_family([[values[metric.name]]])


class _FixedCollector(Collector):
    """Returns metric families that are computed already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families
