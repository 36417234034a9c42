"""What Prometheus is told: requests, their time, batches, rows, what is due."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition

from regulars.api.endpoint import Endpoint

if TYPE_CHECKING:
    from regulars.api.server import Server

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Telemetry:
    """The metrics of one process."""

    def __init__(self, server: "Server") -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "regulars_requests", "Requests answered.", ["method", "path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "regulars_request_seconds", "Time to answer.", ["method", "path"], buckets=_SECONDS, registry=self.registry
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        connections = Gauge("regulars_database_connections", "Connections held.", registry=self.registry)
        connections.set_function(lambda: float(server.database.pool.get_size()) if server.database.pool else 0.0)

    def answered(self, endpoint: Endpoint, status: int, seconds: float) -> None:
        """Counts one answer."""
        key = (endpoint.method, endpoint.path, status)
        if key not in self._children:
            self._children[key] = (
                self._requests.labels(endpoint.method, endpoint.path, str(status)),
                self._seconds.labels(endpoint.method, endpoint.path),
            )
        count, histogram = self._children[key]
        count.inc()
        histogram.observe(seconds)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics as Prometheus reads them, and their media type."""
        return exposition.generate_latest(self.registry), exposition.CONTENT_TYPE_LATEST
