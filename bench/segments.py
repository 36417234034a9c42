"""Ad-hoc counts of members: the columnar copy against PostgreSQL, four concurrent clients."""

import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.result import Findings
from bench.seed_data import seed_database, sql
from bench.size import Size
from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends
from regulars.query.formats.records import records
from regulars.query.parser.request import parse_query
from regulars.query.query import ReportQuery
from regulars.query.replica.cache import ReplicaCache, ReplicaStaleError
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.storage.database import Database

CLIENTS = 4
ROUNDS = 3
DUE = 5_000
MEGABYTES = 2_000

FILTERS: dict[str, tuple[Any, str]] = {
    "two scalars": (
        {
            "type": "and",
            "operations": [
                {"type": "equal", "field": "aggregations.dimension_recency", "value": "RI"},
                {"type": "equal", "field": "gender", "value": "female"},
            ],
        },
        "dimension_recency = 'RI' AND gender = 'female'",
    ),
    "range and scalar": (
        {
            "type": "and",
            "operations": [
                {"type": "equal", "field": "aggregations.dimension_recency", "value": "RI"},
                {"type": "greater_than", "field": "aggregations.spend_all", "value": 1000},
            ],
        },
        "dimension_recency = 'RI' AND spend_all > 100000",
    ),
    "array and consent": (
        {
            "type": "and",
            "operations": [
                {"type": "in", "field": "subunit_ids", "value": [3, 17, 41]},
                {"type": "equal", "field": "consents.sms_marketing", "value": True},
            ],
        },
        "subunit_ids && '{3,17,41}' AND 'sms_marketing' = ANY (consents_true)",
    ),
    "or": (
        {
            "type": "or",
            "operations": [
                {"type": "equal", "field": "aggregations.dimension_recency", "value": "RI"},
                {"type": "equal", "field": "country", "value": "NO"},
                {"type": "greater_than", "field": "aggregations.spend_all", "value": 3000},
            ],
        },
        "dimension_recency = 'RI' OR country = 'NO' OR spend_all > 300000",
    ),
}
_JOINED = "members JOIN profile_aggregations USING (community_id, profile_id)"

Ask = Callable[[], Awaitable[None]]


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """members_count over a million members."""
    profiles = size.rows(1_000_000, 2_000)
    findings.describe(
        f"{profiles:,} members with {3 * profiles:,} transactions, {min(DUE, profiles // 4):,} of them due by the "
        f"clock; {CLIENTS} concurrent clients ask for members_count in one process, each in a snapshot of its own, under "
        f"row-level security. PostgreSQL is queried over as many connections; it counts stored values, not due ones."
    )
    store = environment.database()
    club = store.create_club("segments")
    seed_database(store, club, profiles, 3 * profiles)
    with store.owner_connection() as connection:
        connection.execute(sql("fill_members").replace("$1", str(club.id)).encode())
        connection.execute(sql("narrow").replace("$1", str(club.id)).encode())
        connection.execute("ALTER TABLE narrow ENABLE ROW LEVEL SECURITY")
        connection.execute(
            "CREATE POLICY own_community ON narrow USING (community_id = "
            "(SELECT nullif(current_setting('regulars.community_id', true), '')::int))"
        )
        connection.execute("GRANT SELECT ON narrow TO PUBLIC")
    store.vacuum("members", "narrow")
    asyncio.run(_measured(store, club, profiles, size, findings))


async def _measured(store: BenchDatabase, club: BenchClub, profiles: int, size: Size, findings: Findings) -> None:
    requests = size.rows(60, 5)
    async with Database(store.app_url, CLIENTS + 2) as database:
        await _copies(_Copied(database, club), store, profiles, requests, size, findings)
        for name, (_, condition) in FILTERS.items():
            for table, label in ((_JOINED, "PostgreSQL"), ("narrow", "PostgreSQL, narrow table")):
                ask = _counting(database, club, f"SELECT count(*) FROM {table} WHERE {condition}")
                times = await _run_concurrently(ask, max(5, requests // 6))
                findings.record(f"{name}: {label}, p95", [_percentile(times, 95)], "ms")


class _Copied:
    """The product, as a request reaches it."""

    def __init__(self, database: Database, club: BenchClub) -> None:
        self.database = database
        self.copies = ReplicaCache(MEGABYTES)
        self.customer = Tenant(club.id, club.id, 1, 1, "segments", "Segments", "Europe/Oslo", "NOK", 2, {})

    def request(self, filter_: Any) -> Ask:
        query = _query(filter_)
        stores = Backends(self.database, self.copies)

        async def ask() -> None:
            while True:
                try:
                    await records(query, [self.customer], stores, self.database.clock())
                    return
                except ReplicaStaleError:
                    # As a client that reconnects immediately.
                    continue

        return ask


def _query(filter_: Any) -> ReportQuery:
    return parse_query(json.dumps({"report": "members_count", "filter": filter_}).encode(), REPORTS_BY_NAME)


async def _copies(
    copied: _Copied, store: BenchDatabase, profiles: int, requests: int, size: Size, findings: Findings
) -> None:
    before = _resident()
    findings.record("the first count makes the copy", [await _timed(copied.request(None))], "ms")
    findings.record("the first filter by recency adds its column", [await _timed(copied.request(_RECENCY))], "ms")
    findings.record("the first filter by spend adds its column", [await _timed(copied.request(_SPEND))], "ms")
    with store.owner_connection() as connection:
        connection.execute(
            "UPDATE profile_aggregations SET next_change_at = now() - interval '1 second' WHERE profile_id IN "
            f"(SELECT profile_id FROM profile_aggregations LIMIT {min(DUE, profiles // 4)})"
        )
    # Another process would come to them as they fall due.
    copied.copies = ReplicaCache(MEGABYTES)
    await copied.request(None)()
    findings.record(
        "the first count with all that is due, its columns added too",
        [await _timed(copied.request(_RECENCY_AND_SPEND))],
        "ms",
    )
    table = copied.copies.replica(copied.customer.community_id)
    findings.record("memory of the copy, by a million members", [table.memory_bytes / profiles], "MB")
    findings.record("resident memory that the process has gained", [(_resident() - before) / profiles * 1e6], "MB")
    for name, (filter_, _) in FILTERS.items():
        rounds = [await _run_concurrently(copied.request(filter_), requests) for _ in range(size.rounds(ROUNDS))]
        for percent in (50, 95):
            values = [_percentile(each, percent) for each in rounds]
            percentile = findings.record(f"{name}: copy, p{percent}", values, "ms")
        findings.target_at_most(
            f"members_count, {name}: p95 under 50 ms with {CLIENTS} concurrent clients over {profiles:,} members",
            percentile,
            50,
            "ms",
        )
        spent = time.process_time()
        times = await _run_concurrently(copied.request(filter_), requests)
        findings.record(f"{name}: CPU of the process a count", [1e3 * (time.process_time() - spent) / len(times)], "ms")
    await _caught_up(copied, store, requests, findings)


async def _caught_up(copied: _Copied, store: BenchDatabase, requests: int, findings: Findings) -> None:
    ask = copied.request(FILTERS["two scalars"][0])
    with store.owner_connection() as connection:
        for changed in (1, 500, 5_000):
            times = []
            for _ in range(3):
                connection.execute(_change(changed))
                times.append(await _timed(ask))
            findings.record(f"a count after {changed:,} changed members", times, "ms")
        stopping = asyncio.Event()

        async def write() -> None:
            while not stopping.is_set():
                await asyncio.to_thread(connection.execute, _change(1))
                await asyncio.sleep(0.02)

        writing = asyncio.create_task(write())
        times = await _run_concurrently(ask, requests)
        stopping.set()
        await writing
    findings.record("two scalars: copy while members change, p95", [_percentile(times, 95)], "ms")


def _change(number: int) -> bytes:
    return (
        "UPDATE members SET gender = 'other', recorded_xid = pg_current_xact_id() WHERE profile_id IN "
        f"(SELECT profile_id FROM members TABLESAMPLE SYSTEM (1) LIMIT {number})"
    ).encode()


_RECENCY: Any = {"type": "equal", "field": "aggregations.dimension_recency", "value": "RI"}
_SPEND: Any = {"type": "greater_than", "field": "aggregations.spend_all", "value": 1000}
_RECENCY_AND_SPEND: Any = {"type": "and", "operations": [_RECENCY, _SPEND]}


def _counting(database: Database, club: BenchClub, statement: str) -> Ask:
    async def ask() -> None:
        async with database.read_transaction(club.id) as scope:
            await scope.fetchval(statement)

    return ask


async def _run_concurrently(ask: Ask, requests: int) -> list[float]:
    """How long each took, in milliseconds, of as many concurrent clients."""
    times: list[float] = []

    async def client() -> None:
        times.extend([await _timed(ask) for _ in range(requests)])

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return times


async def _timed(ask: Ask) -> float:
    began = time.perf_counter()
    await ask()
    return 1e3 * (time.perf_counter() - began)


def _percentile(times: list[float], percent: int) -> float:
    return sorted(times)[min(len(times) - 1, len(times) * percent // 100)]


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
