"""The declarations of all metrics: name, description, labels, and how the values of several processes are combined."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from http import HTTPStatus
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from regulars.facts.registry import FACT_TYPES
from regulars.ingest.providers.handler import EVENT_OUTCOMES
from regulars.ingest.providers.registry import PROVIDERS

DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds that a request may take, as upper bounds."""

_BOUNDS = (*(str(each) for each in DURATION_BUCKETS), "+Inf")


class MetricType(Enum):
    """The type of a metric."""

    COUNTER = "counter"
    """Only increases. Includes the counts of processes that have ended."""
    GAUGE = "gauge"
    """Can increase and decrease. Includes running processes only."""
    HISTOGRAM = "histogram"
    """A counter per bucket, and the sum of the values."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric with all combinations of its label values."""

    name: str
    kind: MetricType
    description: str
    labels: tuple[str, ...] = ()
    label_values: tuple[tuple[str, ...], ...] = ((),)
    combine: Callable[[Iterable[float]], float] = sum
    is_shown_at_zero: bool = True

    @property
    def slots_per_series(self) -> int:
        """How many numbers one series takes."""
        return len(_BOUNDS) + 1 if self.kind is MetricType.HISTOGRAM else 1

    def to_family(self, numbers: list[list[float]]) -> Metric:
        """Returns the metric with the values of its series as a family for the Prometheus client."""
        shown = [
            (labels, found)
            for labels, found in zip(self.label_values, numbers, strict=True)
            if self.is_shown_at_zero or any(found)
        ]
        if self.kind is MetricType.HISTOGRAM:
            histogram = HistogramMetricFamily(self.name, self.description, labels=self.labels)
            for labels, (*counts, total) in shown:
                histogram.add_metric(labels, list(zip(_BOUNDS, accumulate(counts), strict=True)), total)
            return histogram
        one_number = CounterMetricFamily if self.kind is MetricType.COUNTER else GaugeMetricFamily
        family = one_number(self.name, self.description, labels=self.labels)
        for labels, (number,) in shown:
            family.add_metric(labels, number)
        return family


def bucket_index(seconds: float) -> int:
    """The place of a duration among the numbers of a histogram's series."""
    return bisect_left(DURATION_BUCKETS, seconds)


SUM_INDEX = len(_BOUNDS)
"""The place of the sum among them."""

HTTP_STATUSES = (*(each.value for each in HTTPStatus if each >= HTTPStatus.OK), 470, 471)


@cache
def request_metrics(routes: tuple[tuple[str, str], ...]) -> tuple[MetricSpec, MetricSpec]:
    """The counter and the duration histogram of requests to these routes, each a method and a path."""
    return (
        MetricSpec(
            "regulars_http_requests",
            MetricType.COUNTER,
            "HTTP requests.",
            ("method", "path", "status"),
            tuple((*route, str(status)) for route in routes for status in HTTP_STATUSES),
            is_shown_at_zero=False,
        ),
        MetricSpec(
            "regulars_http_request_duration_seconds",
            MetricType.HISTOGRAM,
            "Time from the start of a request to its response.",
            ("method", "path"),
            routes,
            is_shown_at_zero=False,
        ),
    )


TRANSACTION_BATCHES = MetricSpec(
    "regulars_transaction_batches",
    MetricType.COUNTER,
    "Committed batches of transactions, each in one database transaction.",
)
TRANSACTION_ROWS = MetricSpec(
    "regulars_transaction_rows",
    MetricType.COUNTER,
    "Transactions in these batches, by outcome.",
    ("outcome",),
    (("accepted",), ("unchanged",), ("rejected",)),
)
IMPORT_ROWS = "regulars_import_rows"


def import_rows_metric() -> MetricSpec:
    """The counter of imported rows, with a series for each fact type that can be imported and each outcome."""
    return MetricSpec(
        IMPORT_ROWS,
        MetricType.COUNTER,
        "Rows of imports over HTTP, by outcome.",
        ("entity", "outcome"),
        tuple(
            (fact_type.name, outcome)
            for fact_type in FACT_TYPES.loadable()
            for outcome in ("accepted", "unchanged", "rejected")
        ),
    )


PROVIDER_EVENTS = MetricSpec(
    "regulars_provider_events",
    MetricType.COUNTER,
    "Events of sendings reported by webhooks of providers, by outcome.",
    ("provider", "outcome"),
    tuple((provider.name, outcome) for provider in PROVIDERS for outcome in EVENT_OUTCOMES),
)
PROFILES_REFRESHED = MetricSpec(
    "regulars_profiles_refreshed", MetricType.COUNTER, "Profiles whose outdated values were refreshed."
)
WEBHOOK_ATTEMPTS = MetricSpec(
    "regulars_webhook_attempts",
    MetricType.COUNTER,
    "Attempts to deliver webhooks, by outcome.",
    ("outcome",),
    (("delivered",), ("failed",)),
)
DATABASE_CONNECTIONS = MetricSpec(
    "regulars_database_connections",
    MetricType.GAUGE,
    "Database connections of all workers.",
    ("state",),
    (("used",), ("idle",)),
)
WORKERS = MetricSpec("regulars_workers", MetricType.GAUGE, "Worker processes.")
CPU_SECONDS = MetricSpec(
    "process_cpu_seconds",
    MetricType.COUNTER,
    "User and system CPU time of all workers.",
    is_shown_at_zero=False,
)
RESIDENT_MEMORY = MetricSpec(
    "process_resident_memory_bytes", MetricType.GAUGE, "Resident memory of all workers.", is_shown_at_zero=False
)
OPEN_FILES = MetricSpec(
    "process_open_fds", MetricType.GAUGE, "Open file descriptors of all workers.", is_shown_at_zero=False
)
START_TIME = MetricSpec(
    "process_start_time_seconds",
    MetricType.GAUGE,
    "Start time of the oldest worker, as a Unix timestamp.",
    combine=min,
    is_shown_at_zero=False,
)


def process_metrics() -> tuple[MetricSpec, ...]:
    """Metrics that each process counts; those of requests are added to them."""
    return (
        *(TRANSACTION_BATCHES, TRANSACTION_ROWS, import_rows_metric(), PROVIDER_EVENTS, PROFILES_REFRESHED),
        WEBHOOK_ATTEMPTS,
        *(DATABASE_CONNECTIONS, WORKERS, CPU_SECONDS, RESIDENT_MEMORY, OPEN_FILES, START_TIME),
    )


DATABASE_UP = MetricSpec(
    "regulars_database_up", MetricType.GAUGE, "1 if the database answers within 5 seconds, otherwise 0."
)
REFRESH_BACKLOG = MetricSpec(
    "regulars_refresh_backlog_profiles",
    MetricType.GAUGE,
    "Profiles whose values are outdated; at most 10,000 are counted per community and reason.",
)
REFRESH_LAG = MetricSpec(
    "regulars_refresh_lag_seconds", MetricType.GAUGE, "Time since the oldest of these values became outdated."
)


JOBS_QUEUED = MetricSpec(
    "regulars_jobs_queued", MetricType.GAUGE, "Jobs such as exports that wait, also for a retry. Alert if it grows."
)
JOBS_RUNNING = MetricSpec("regulars_jobs_running", MetricType.GAUGE, "Jobs that workers of all machines run.")
JOBS_FAILED = MetricSpec(
    "regulars_jobs_failed",
    MetricType.GAUGE,
    "Jobs that have failed and are not retried unless a person does it with `regulars jobs`. Alert above 0.",
)


WEBHOOK_BACKLOG = MetricSpec(
    "regulars_webhook_undelivered",
    MetricType.GAUGE,
    "Deliveries of webhooks that are not delivered; at most 10,000 are counted per community.",
)
WEBHOOKS_DISABLED = MetricSpec(
    "regulars_webhooks_disabled", MetricType.GAUGE, "Webhooks that were disabled because their deliveries failed."
)
SEGMENTS_INVALID = MetricSpec(
    "regulars_segments_invalid",
    MetricType.GAUGE,
    "Segments whose filters can't be evaluated, for example because a field was removed; no member enters or leaves them.",
)


def database_metrics() -> tuple[MetricSpec, ...]:
    """Metrics that are read from the database: those of all fact types are among them."""
    of_facts = (
        MetricSpec(each.name, MetricType.GAUGE, each.description)
        for fact_type in FACT_TYPES
        for each in fact_type.metrics
    )
    return (
        *(DATABASE_UP, REFRESH_BACKLOG, REFRESH_LAG, JOBS_QUEUED, JOBS_RUNNING, JOBS_FAILED),
        *(WEBHOOK_BACKLOG, WEBHOOKS_DISABLED, SEGMENTS_INVALID, *of_facts),
    )
