"""What Prometheus is told, by any process of a server: what all of them have counted, and what is due."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from regulars.ingest.group_commit import CommitResult
from regulars.ingest.transactions import StoredTransaction
from regulars.jobs.refresh_due import measure_backlog
from regulars.loading.batches import LoadSummary
from regulars.observability import metrics
from regulars.observability.metrics import MetricSpec, MetricType
from regulars.observability.shared_counters import SharedCounters
from regulars.web.context import AppContext
from regulars.web.endpoint import Endpoint

SAMPLE_INTERVAL_SECONDS = 1.0
"""How often a process tells the others what it holds."""

DATABASE_CACHE_SECONDS = 5.0
"""How long an answer of the database serves, so that scraping costs it little."""

_log = structlog.get_logger("regulars.telemetry")


def _laid_out() -> tuple[dict[tuple[str, ...], int], int]:
    """Where the numbers of each series begin, by the metric's name and labels; and how many numbers there are."""
    places: dict[tuple[str, ...], int] = {}
    count = 0
    for metric in metrics.PROCESS_METRICS:
        for labels in metric.label_values:
            places[metric.name, *labels] = count
            count += metric.slots_per_series
    return places, count


_PLACES, _COUNT = _laid_out()
_VERSION = hashlib.sha256(repr(_PLACES).encode()).hexdigest()[:16]


class MetricsExporter:
    """The numbers of one process, which shares them with those that have the same folder."""

    def __init__(self, server: AppContext, folder: Path | None = None) -> None:
        self._server = server
        if folder is not None:
            # After an upgrade a process that comes later may have others to share.
            folder /= _VERSION
            folder.mkdir(exist_ok=True)
        self._numbers = SharedCounters(_COUNT, folder)
        self._own = self._numbers.own
        self._requests = {
            (method, path): (
                {each: _PLACES[metrics.REQUESTS.name, method, path, str(each)] for each in metrics.HTTP_STATUSES},
                _PLACES[metrics.REQUEST_DURATION.name, method, path],
            )
            for method, path in metrics.REQUEST_DURATION.label_values
        }
        self._rows = {
            labels[0]: _PLACES[metrics.TRANSACTION_ROWS.name, *labels]
            for labels in metrics.TRANSACTION_ROWS.label_values
        }
        self._process = ProcessCollector(registry=None)
        self._cpu_seconds = 0.0
        self._sampling: asyncio.TimerHandle | None = None
        self._asking = asyncio.Lock()
        self._asked: tuple[float, dict[str, float]] = (0.0, {})

    # Counted ----------------------------------------------------------------------------------------

    def answered(self, endpoint: Endpoint, status: int, seconds: float) -> None:
        """Counts one answer."""
        own = self._own
        by_status, duration = self._requests[endpoint.method, endpoint.path]
        own[by_status[status]] += 1
        own[duration + metrics.bucket_index(seconds)] += 1
        own[duration + metrics.SUM_INDEX] += seconds

    def committed(self, results: Sequence[CommitResult]) -> None:
        """Counts one batch of transactions, and its rows."""
        self._add(1, metrics.TRANSACTION_BATCHES)
        # A request that came twice in one batch has its result twice.
        for result in {id(each): each for each in results}.values():
            for outcome in result.outcomes:
                self._own[
                    self._rows[outcome.status.value if isinstance(outcome, StoredTransaction) else "refused"]
                ] += 1

    def importing(self, entity: str) -> Callable[[LoadSummary], None]:
        """What counts the rows of one import, told how far it is after each of its batches."""
        counted = LoadSummary()

        def progress(summary: LoadSummary) -> None:
            for outcome in ("loaded", "unchanged", "rejected"):
                now = getattr(summary, outcome)
                self._add(now - getattr(counted, outcome), metrics.IMPORT_ROWS, entity, outcome)
                setattr(counted, outcome, now)

        return progress

    def told(self, provider: str, counts: Mapping[str, int]) -> None:
        """Counts events that a provider has told, by what became of them."""
        for outcome, number in counts.items():
            self._add(number, metrics.PROVIDER_EVENTS, provider, outcome)

    def swept(self, profiles: int) -> None:
        """Counts profiles that the sweep has computed again."""
        self._add(profiles, metrics.PROFILES_REFRESHED)

    def _add(self, amount: float, metric: MetricSpec, *labels: str) -> None:
        self._own[_PLACES[metric.name, *labels]] += amount

    # Sampled ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to tell the other processes what this one holds."""
        self._sample()
        self._sampling = asyncio.get_running_loop().call_later(SAMPLE_INTERVAL_SECONDS, self.start)

    def stop(self) -> None:
        """Ends it."""
        if self._sampling is not None:
            self._sampling.cancel()

    def _sample(self) -> None:
        pool = self._server.database.pool
        idle = 0 if pool is None else pool.get_idle_size()
        self._set(idle, metrics.DATABASE_CONNECTIONS, "idle")
        self._set(0 if pool is None else pool.get_size() - idle, metrics.DATABASE_CONNECTIONS, "used")
        self._set(1, metrics.WORKERS)
        # Nothing, where the system has no /proc.
        found = {metric.name: metric.samples[0].value for metric in self._process.collect()}
        for metric in (metrics.RESIDENT_MEMORY, metrics.OPEN_FILES, metrics.START_TIME):
            self._set(found.get(metric.name, 0.0), metric)
        # Those of a process that died go on, so that the sum never falls.
        cpu_seconds = found.get(metrics.CPU_SECONDS.name, 0.0)
        self._add(cpu_seconds - self._cpu_seconds, metrics.CPU_SECONDS)
        self._cpu_seconds = cpu_seconds

    def _set(self, value: float, metric: MetricSpec, *labels: str) -> None:
        self._own[_PLACES[metric.name, *labels]] = value

    # Asked for --------------------------------------------------------------------------------------

    async def _of_the_database(self) -> dict[str, float]:
        """What waits in the database, by the metric's name."""
        async with self._asking:
            at, found = self._asked
            if not found or time.monotonic() - at >= DATABASE_CACHE_SECONDS:
                try:
                    due = await measure_backlog(self._server.database)
                    found = {
                        metrics.DATABASE_UP.name: 1,
                        metrics.REFRESH_BACKLOG.name: due.profiles,
                        metrics.REFRESH_LAG.name: due.oldest_seconds,
                    }
                except Exception:
                    _log.exception("metrics.failed")
                    found = {metrics.DATABASE_UP.name: 0}
                self._asked = time.monotonic(), found
            return found

    # Told -------------------------------------------------------------------------------------------

    async def exposition(self) -> tuple[bytes, str]:
        """The metrics of all processes as Prometheus reads them, and their media type."""
        self._sample()
        asked = await self._of_the_database()
        registry = CollectorRegistry()
        registry.register(_Told([*self._shared(), *_families_of(asked)]))
        return exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST

    def _shared(self) -> Iterator[Metric]:
        processes = list(self._numbers.read_all())
        everyone = [numbers for _, numbers in processes]
        living = [numbers for lives, numbers in processes if lives]
        start = 0
        for metric in metrics.PROCESS_METRICS:
            end = start + len(metric.label_values) * metric.slots_per_series
            counted = living if metric.kind is MetricType.GAUGE else everyone
            found = list(map(metric.combine, zip(*(one[start:end] for one in counted), strict=True)))
            yield metric.to_family(
                [found[at : at + metric.slots_per_series] for at in range(0, len(found), metric.slots_per_series)]
            )
            start = end


def _families_of(asked: dict[str, float]) -> Iterator[Metric]:
    for metric in metrics.DATABASE_METRICS:
        if metric.name in asked:
            yield metric.to_family([[asked[metric.name]]])


class _Told(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families
