"""What each stage of a bulk write costs: CPU of this process and of its database connection, and time."""

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import processes
from regulars.aggregations.table import refresh_statement, values_statement
from regulars.facts import purchases
from regulars.ingest import commit as commits
from regulars.ingest import transactions as puts
from regulars.loading import transactions
from regulars.storage.database import Database


@dataclass
class StageCost:
    """Nanoseconds."""

    client: int = 0
    database: int = 0
    time: int = 0


STAGES = ("parse", "resolve", "insert", "lock", "refresh, upsert, outbox", "tell reports", "commit", "begin and other")


def _stage(query: str) -> str:
    if query == puts.INSERT_STATEMENT:
        return "insert"
    if query == commits._LOCK:
        return "lock"
    if query == refresh_statement():
        return "refresh, upsert, outbox"
    if query == purchases._RECORD:
        return "tell reports"
    if query.startswith("COMMIT"):
        return "commit"
    if query.startswith("BEGIN") or "FROM communities" in query:
        return "begin and other"
    return "resolve"


class StageMeter:
    """Notes after every statement of one connection what it used, here and in PostgreSQL; `stage` tells of which
    stage a statement is.
    """

    def __init__(self, stage: Callable[[str], str] = _stage) -> None:
        self._stage = stage
        self.costs: dict[str, StageCost] = defaultdict(StageCost)
        self._process = 0
        self._last = (0, 0, 0)

    async def watch(self, connection: Any) -> None:
        """Notes all that a connection does from now on."""
        self._process = await connection.fetchval("SELECT pg_backend_pid()")
        connection.add_query_logger(self._noted)
        self._last = self._now()

    def _now(self) -> tuple[int, int, int]:
        return time.thread_time_ns(), processes.thread_cpu_nanoseconds(self._process), time.perf_counter_ns()

    def _noted(self, record: Any) -> None:
        now = self._now()
        cost = self.costs[self._stage(record.query)]
        cost.client += now[0] - self._last[0]
        cost.database += now[1] - self._last[1]
        cost.time += now[2] - self._last[2]
        self._last = now

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Notes what the block itself uses here as a stage of its own; it runs no statements."""
        before = self._now()
        self._last = before
        yield
        self._last = self._now()
        cost = self.costs[stage]
        cost.client += self._last[0] - before[0]
        cost.time += self._last[2] - before[2]

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """Notes within the block what reading and checking rows uses, which a thread does one batch ahead."""
        plain = transactions._parse

        def metered(*given: Any) -> Generator[Any, None, None]:
            yield from self._metered(plain(*given))

        vars(transactions)["_transactions"] = metered
        try:
            yield
        finally:
            vars(transactions)["_transactions"] = plain

    def _metered(self, batches: Iterator[Any]) -> Iterator[Any]:
        cost = self.costs["parse"]
        while True:
            here, began = time.thread_time_ns(), time.perf_counter_ns()
            batch = next(batches, None)
            cost.client += time.thread_time_ns() - here
            cost.time += time.perf_counter_ns() - began
            if batch is None:
                return
            yield batch


# The refresh from within --------------------------------------------------------------------------------


def refresh_parts() -> list[tuple[str, str]]:
    """The refresh cut off after each of its parts, in order: the last is the whole of it."""
    whole = refresh_statement()
    computed = f"WITH fresh AS MATERIALIZED (\n{values_statement()}\n) SELECT count(*) FROM fresh"
    before_put, _, _ = whole.partition("),\nput AS (")
    compared = f"{before_put})\nSELECT count(*) FROM fresh LEFT JOIN kept ON kept.profile_id = fresh.profile_id"
    upserted = f"{whole.rpartition(f',{chr(10)}told AS (')[0]}\nSELECT count(*) FROM fresh"
    return [("compute", computed), ("read what is kept", compared), ("upsert", upserted), ("outbox", whole)]


class _UndoneError(Exception):
    """Ends a transaction that was only to be measured."""


async def refresh_by_part(
    database: Database, community_id: int, batches: list[list[Any]], moved: str
) -> dict[str, list[int]]:
    """CPU of PostgreSQL in nanoseconds by part and batch; each part is measured on the same state, then undone.

    `moved` is a statement that makes the values of the profiles $2 differ from those that are kept.
    """
    parts = refresh_parts()
    found: dict[str, list[int]] = {name: [] for name, _ in parts}
    for profile_ids in batches:
        before = 0
        for name, text in parts:
            used = await _used(database, community_id, profile_ids, text, moved)
            found[name].append(used - before)
            before = used
    return found


async def _used(database: Database, community_id: int, profile_ids: list[Any], text: str, moved: str) -> int:
    try:
        async with database.write_transaction(community_id) as scope:
            await scope.execute(moved, community_id, profile_ids)
            values: list[Any] = [profile_ids, [scope.now] * len(profile_ids)]
            if "$4" in text:
                values.append(["bench"] * len(profile_ids))
            prepared = await scope.connection.prepare(text)
            process = scope.connection.get_server_pid()
            # The first run of a statement plans it.
            await prepared.fetch(community_id, *[each[:1] for each in values])
            before = processes.thread_cpu_nanoseconds(process)
            await prepared.fetch(community_id, *values)
            used = processes.thread_cpu_nanoseconds(process) - before
            raise _UndoneError
    except _UndoneError:
        return used
