"""Every metric there is: its name, its meaning, its labels, and how the processes' numbers make one."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from regulars.api.registry import ENDPOINTS
from regulars.ingest import entities
from regulars.ingest.providers.registry import PROVIDERS
from regulars.ingest.providers.taking import OUTCOMES

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds that a request may take, as upper bounds."""

_BOUNDS = (*(str(each) for each in BUCKETS), "+Inf")


class Kind(Enum):
    """What a metric's numbers are."""

    COUNTER = "counter"
    """Only rises: what processes have counted stays when they end."""
    GAUGE = "gauge"
    """Goes up and down: only processes that live count."""
    HISTOGRAM = "histogram"
    """A counter for each bucket, and the sum."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric, and all values that its labels can have."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ((),)
    over_processes: Callable[[Iterable[float]], float] = sum
    shown_at_zero: bool = True

    @property
    def width(self) -> int:
        """How many numbers one series takes."""
        return len(_BOUNDS) + 1 if self.kind is Kind.HISTOGRAM else 1

    def family(self, numbers: list[list[float]]) -> Metric:
        """The metric with the numbers of its series, as Prometheus is told it."""
        shown = [
            (labels, found)
            for labels, found in zip(self.series, numbers, strict=True)
            if self.shown_at_zero or any(found)
        ]
        if self.kind is Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
            for labels, (*counts, total) in shown:
                histogram.add_metric(labels, list(zip(_BOUNDS, accumulate(counts), strict=True)), total)
            return histogram
        one_number = CounterMetricFamily if self.kind is Kind.COUNTER else GaugeMetricFamily
        family = one_number(self.name, self.meaning, labels=self.labels)
        for labels, (number,) in shown:
            family.add_metric(labels, number)
        return family


def bucket(seconds: float) -> int:
    """The place of a duration among the numbers of a histogram's series."""
    return bisect_left(BUCKETS, seconds)


SUM = len(_BOUNDS)
"""The place of the sum among them."""

_PATHS = tuple((each.method, each.path) for each in ENDPOINTS)
STATUSES = (*(each.value for each in HTTPStatus if each >= HTTPStatus.OK), 470, 471)

REQUESTS = Declared(
    "regulars_requests",
    Kind.COUNTER,
    "Requests answered.",
    ("method", "path", "status"),
    tuple((*each, str(status)) for each in _PATHS for status in STATUSES),
    shown_at_zero=False,
)
DURATION = Declared(
    "regulars_request_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a request to its answer.",
    ("method", "path"),
    _PATHS,
    shown_at_zero=False,
)
BATCHES = Declared(
    "regulars_transaction_batches",
    Kind.COUNTER,
    "Batches of transactions committed, each in one database transaction.",
)
ROWS = Declared(
    "regulars_transaction_rows",
    Kind.COUNTER,
    "Transactions in these batches, by what became of them.",
    ("outcome",),
    (("loaded",), ("unchanged",), ("refused",)),
)
IMPORTED = Declared(
    "regulars_import_rows",
    Kind.COUNTER,
    "Rows of imports over HTTP, by what became of them.",
    ("entity", "outcome"),
    tuple(
        (entity, outcome)
        for entity in entities.NAMES
        if entity != "communities"
        for outcome in ("loaded", "unchanged", "rejected")
    ),
)
PROVIDER_EVENTS = Declared(
    "regulars_provider_events",
    Kind.COUNTER,
    "Events of sendings that providers have told, by what became of them.",
    ("provider", "outcome"),
    tuple((provider.name, outcome) for provider in PROVIDERS for outcome in OUTCOMES),
)
SWEPT = Declared("regulars_swept_profiles", Kind.COUNTER, "Profiles whose values the sweep computed again.")
CONNECTIONS = Declared(
    "regulars_database_connections",
    Kind.GAUGE,
    "Connections to the database, of all processes.",
    ("state",),
    (("used",), ("idle",)),
)
PROCESSES = Declared("regulars_processes", Kind.GAUGE, "Processes that answer requests.")
CPU = Declared(
    "process_cpu_seconds", Kind.COUNTER, "CPU time, user and system, of all these processes.", shown_at_zero=False
)
MEMORY = Declared(
    "process_resident_memory_bytes", Kind.GAUGE, "Resident memory of all these processes.", shown_at_zero=False
)
FILES = Declared("process_open_fds", Kind.GAUGE, "Open file descriptors of all these processes.", shown_at_zero=False)
STARTED = Declared(
    "process_start_time_seconds",
    Kind.GAUGE,
    "When the oldest of these processes started, as a Unix time.",
    over_processes=min,
    shown_at_zero=False,
)

SHARED = (
    *(REQUESTS, DURATION, BATCHES, ROWS, IMPORTED, PROVIDER_EVENTS, SWEPT),
    *(CONNECTIONS, PROCESSES, CPU, MEMORY, FILES, STARTED),
)
"""What each process tells the others."""

DATABASE_UP = Declared("regulars_database_up", Kind.GAUGE, "1 if the database answers, else 0.")
DUE = Declared(
    "regulars_due_profiles",
    Kind.GAUGE,
    "Profiles whose values wait for the sweep; at most 10,000 are counted in a community for each reason.",
)
OLDEST_DUE = Declared(
    "regulars_oldest_due_seconds", Kind.GAUGE, "How long the longest waiting of them has been due by the clock."
)

ASKED = (DATABASE_UP, DUE, OLDEST_DUE)
"""What the database is asked for."""
