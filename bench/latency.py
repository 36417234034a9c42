"""Latencies of queries in milliseconds, and percentiles of them."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Query = Callable[[], Awaitable[Any]]
"""Executes a query once."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values are below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


async def measure_latency(query: Query) -> float:
    """Executes a query once."""
    began = time.perf_counter()
    await query()
    return 1e3 * (time.perf_counter() - began)


async def measure_latencies(query: Query, executions: int) -> list[float]:
    """Executes a query several times, one after the other."""
    return [await measure_latency(query) for _ in range(executions)]
