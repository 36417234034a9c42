"""Cost of each stage of a bulk write: CPU of this process and of its database connection, and time."""

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from unittest.mock import patch

from bench import processes
from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.table import refresh_statement
from regulars.facts import purchases
from regulars.ingest import commit as commits
from regulars.ingest import transactions as writes
from regulars.loading import transactions
from regulars.storage.database import Database

_CALIBRATION_READINGS = 201


@dataclass
class StageCost:
    """Nanoseconds."""

    client: int = 0
    database: int = 0
    time: int = 0


STAGES = (
    "parse",
    "resolve",
    "insert",
    "lock",
    "refresh, upsert, outbox",
    "record purchases",
    "commit",
    "begin and other",
)


def _stage(query: str) -> str:
    if query == writes.INSERT_STATEMENT:
        return "insert"
    if query == commits._LOCK:
        return "lock"
    if query == refresh_statement():
        return "refresh, upsert, outbox"
    if query == purchases._RECORD:
        return "record purchases"
    if query.startswith("COMMIT"):
        return "commit"
    if query.startswith("BEGIN") or "FROM communities" in query:
        return "begin and other"
    return "resolve"


class StageMeter:
    """Records the cost of every statement of a connection, here and in PostgreSQL; `stage` maps a statement to its stage.

    What the meter itself costs is left out: the readings before and after its own work, and what one reading costs.
    """

    def __init__(self, stage: Callable[[str], str] = _stage) -> None:
        self._stage = stage
        self.costs: dict[str, StageCost] = defaultdict(StageCost)
        self._clock = processes.ThreadClock(os.getpid())
        self._last = (0, 0, 0)
        self._own_cost = (0, 0)

    async def watch(self, connection: Any) -> None:
        """Starts recording the statements of a connection."""
        self._clock = processes.ThreadClock(await connection.fetchval("SELECT pg_backend_pid()"))
        self._own_cost = self._measure_own_cost()
        connection.add_query_logger(self._record)
        self._last = self._now()

    def _now(self) -> tuple[int, int, int]:
        return time.thread_time_ns(), self._clock.nanoseconds(), time.perf_counter_ns()

    def _measure_own_cost(self) -> tuple[int, int]:
        """What lies between two readings that follow each other: nanoseconds of CPU here, and of time."""
        readings = [self._now() for _ in range(_CALIBRATION_READINGS)]
        pairs = list(pairwise(readings))
        client = int(statistics.median(after[0] - before[0] for before, after in pairs))
        return client, int(statistics.median(after[2] - before[2] for before, after in pairs))

    def _record(self, record: Any) -> None:
        now = self._now()
        cost = self.costs[self._stage(record.query)]
        cost.client += max(0, now[0] - self._last[0] - self._own_cost[0])
        cost.database += now[1] - self._last[1]
        cost.time += max(0, now[2] - self._last[2] - self._own_cost[1])
        self._last = self._now()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Records the cost of a block that runs no statements as a stage."""
        before = self._now()
        self._last = before
        yield
        self._last = self._now()
        cost = self.costs[stage]
        cost.client += self._last[0] - before[0]
        cost.time += self._last[2] - before[2]

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """Records within the block the cost of parsing rows, which a thread does one batch in advance."""
        parse = transactions._parse

        def metered(*arguments: Any) -> Generator[Any, None, None]:
            yield from self._metered(parse(*arguments))

        with patch.object(transactions, parse.__name__, metered):
            yield

    def _metered(self, batches: Iterator[Any]) -> Iterator[Any]:
        cost = self.costs["parse"]
        while True:
            client_ns, time_ns = time.thread_time_ns(), time.perf_counter_ns()
            batch = next(batches, None)
            cost.client += time.thread_time_ns() - client_ns
            cost.time += time.perf_counter_ns() - time_ns
            if batch is None:
                return
            yield batch


# Parts of the refresh --------------------------------------------------------------------------------


def refresh_parts() -> list[tuple[str, str]]:
    """The refresh statement truncated after each of its parts; the last one is complete."""
    statement = refresh_statement()
    computed = f"WITH recomputed AS MATERIALIZED (\n{values_statement()}\n) SELECT count(*) FROM recomputed"
    before_upsert, _, _ = statement.partition("),\nupserted AS (")
    compared = (
        f"{before_upsert})\nSELECT count(*) FROM recomputed "
        "LEFT JOIN existing ON existing.profile_id = recomputed.profile_id"
    )
    upserted = f"{statement.rpartition(f',{chr(10)}outbox_rows AS (')[0]}\nSELECT count(*) FROM recomputed"
    return [("compute", computed), ("read stored values", compared), ("upsert", upserted), ("outbox", statement)]


class _RollbackError(Exception):
    """Rolls back a measured transaction."""


async def refresh_by_part(
    database: Database, community_id: int, batches: list[list[Any]], change_statement: str
) -> dict[str, list[int]]:
    """CPU of PostgreSQL in nanoseconds by part and batch; each part is measured on the same state and rolled back.

    `change_statement` makes the stored values of the profiles $2 differ.
    """
    parts = refresh_parts()
    cpu_by_part: dict[str, list[int]] = {name: [] for name, _ in parts}
    for profile_ids in batches:
        before = 0
        for name, text in parts:
            cpu_ns = await _measure_part(database, community_id, profile_ids, text, change_statement)
            cpu_by_part[name].append(cpu_ns - before)
            before = cpu_ns
    return cpu_by_part


async def _measure_part(
    database: Database, community_id: int, profile_ids: list[Any], text: str, change_statement: str
) -> int:
    try:
        async with database.write_transaction(community_id) as scope:
            await scope.execute(change_statement, community_id, profile_ids)
            values: list[Any] = [profile_ids, [scope.now] * len(profile_ids)]
            if "$4" in text:
                values.append(["bench"] * len(profile_ids))
            prepared = await scope.connection.prepare(text)
            process = scope.connection.get_server_pid()
            # The first run of a statement plans it.
            await prepared.fetch(community_id, *[each[:1] for each in values])
            before = processes.thread_cpu_nanoseconds(process)
            await prepared.fetch(community_id, *values)
            cpu_ns = processes.thread_cpu_nanoseconds(process) - before
            raise _RollbackError
    except _RollbackError:
        return cpu_ns
