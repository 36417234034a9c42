"""Ad-hoc counts of members: the columnar replica against PostgreSQL, four concurrent clients."""

import asyncio
import json
import resource
import time
from typing import Any

from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.latency import Query, measure_latencies, measure_latency, percentile
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
DUE_PROFILES = 5_000
REPLICA_MB = 2_000

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
_JOIN = "members JOIN profile_aggregations USING (community_id, profile_id)"


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """members_count over a million members."""
    profiles = size.rows(1_000_000, 2_000)
    findings.describe(
        f"{profiles:,} members with {3 * profiles:,} transactions, {min(DUE_PROFILES, profiles // 4):,} of them due by the "
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
    asyncio.run(_measure(store, club, profiles, size, findings))


async def _measure(store: BenchDatabase, club: BenchClub, profiles: int, size: Size, findings: Findings) -> None:
    requests = size.rows(60, 5)
    async with Database(store.app_url, CLIENTS + 2) as database:
        await _measure_replica(_Replica(database, club), store, profiles, requests, size, findings)
        for name, (_, condition) in FILTERS.items():
            for table, label in ((_JOIN, "PostgreSQL"), ("narrow", "PostgreSQL, narrow table")):
                query = _count_query(database, club, f"SELECT count(*) FROM {table} WHERE {condition}")
                times = await _run_concurrently(query, max(5, requests // 6))
                findings.record(f"{name}: {label}, p95", [percentile(times, 95)], "ms")


class _Replica:
    """The product with its columnar replica, as a request reaches it."""

    def __init__(self, database: Database, club: BenchClub) -> None:
        self.database = database
        self.cache = ReplicaCache(database, REPLICA_MB)
        self.tenant = Tenant(club.id, club.id, 1, 1, "segments", "Segments", "Europe/Oslo", "NOK", 2, {})

    def count_query(self, filter_: Any) -> Query:
        report_query = _parse(filter_)
        backends = Backends(self.database, self.cache)

        async def query() -> None:
            while True:
                try:
                    await records(report_query, [self.tenant], backends, self.database.clock())
                    return
                except ReplicaStaleError:
                    # As a client that reconnects immediately.
                    continue

        return query


def _parse(filter_: Any) -> ReportQuery:
    return parse_query(json.dumps({"report": "members_count", "filter": filter_}).encode(), REPORTS_BY_NAME)


async def _measure_replica(
    replica: _Replica, store: BenchDatabase, profiles: int, requests: int, size: Size, findings: Findings
) -> None:
    before = _highest_resident_mb()
    findings.record("the first count makes the copy", [await measure_latency(replica.count_query(None))], "ms")
    findings.record(
        "the first filter by recency adds its column", [await measure_latency(replica.count_query(_RECENCY))], "ms"
    )
    findings.record(
        "the first filter by spend adds its column", [await measure_latency(replica.count_query(_SPEND))], "ms"
    )
    with store.owner_connection() as connection:
        connection.execute(
            "UPDATE profile_aggregations SET next_change_at = now() - interval '1 second' WHERE profile_id IN "
            f"(SELECT profile_id FROM profile_aggregations LIMIT {min(DUE_PROFILES, profiles // 4)})"
        )
    # A new replica: the existing one recomputes profiles one by one as they become due.
    replica.cache = ReplicaCache(replica.database, REPLICA_MB)
    await replica.count_query(None)()
    findings.record(
        "the first count with all that is due, its columns added too",
        [await measure_latency(replica.count_query(_RECENCY_AND_SPEND))],
        "ms",
    )
    table = replica.cache.replica(replica.tenant.community_id)
    findings.record("memory of the copy, by a million members", [table.memory_bytes / profiles], "MB")
    findings.record(
        "resident memory that the process has gained", [(_highest_resident_mb() - before) / profiles * 1e6], "MB"
    )
    for name, (filter_, _) in FILTERS.items():
        rounds = [await _run_concurrently(replica.count_query(filter_), requests) for _ in range(size.rounds(ROUNDS))]
        for percent in (50, 95):
            values = [percentile(each, percent) for each in rounds]
            value = findings.record(f"{name}: copy, p{percent}", values, "ms")
        findings.target_at_most(
            f"members_count, {name}: p95 under 50 ms with {CLIENTS} concurrent clients over {profiles:,} members",
            value,
            50,
            "ms",
        )
        spent = time.process_time()
        times = await _run_concurrently(replica.count_query(filter_), requests)
        findings.record(f"{name}: CPU of the process a count", [1e3 * (time.process_time() - spent) / len(times)], "ms")
    await _measure_staleness(replica, store, requests, findings)


async def _measure_staleness(replica: _Replica, store: BenchDatabase, requests: int, findings: Findings) -> None:
    query = replica.count_query(FILTERS["two scalars"][0])
    with store.owner_connection() as connection:
        for changed in (1, 500, 5_000):
            times = []
            for _ in range(3):
                connection.execute(_update_statement(changed))
                times.append(await measure_latency(query))
            findings.record(f"a count after {changed:,} changed members", times, "ms")
        stopping = asyncio.Event()

        async def write() -> None:
            while not stopping.is_set():
                await asyncio.to_thread(connection.execute, _update_statement(1))
                await asyncio.sleep(0.02)

        writing = asyncio.create_task(write())
        times = await _run_concurrently(query, requests)
        stopping.set()
        await writing
    findings.record("two scalars: copy while members change, p95", [percentile(times, 95)], "ms")


def _update_statement(number: int) -> bytes:
    return (
        "UPDATE members SET gender = 'other', recorded_xid = pg_current_xact_id() WHERE profile_id IN "
        f"(SELECT profile_id FROM members TABLESAMPLE SYSTEM (1) LIMIT {number})"
    ).encode()


_RECENCY: Any = {"type": "equal", "field": "aggregations.dimension_recency", "value": "RI"}
_SPEND: Any = {"type": "greater_than", "field": "aggregations.spend_all", "value": 1000}
_RECENCY_AND_SPEND: Any = {"type": "and", "operations": [_RECENCY, _SPEND]}


def _count_query(database: Database, club: BenchClub, statement: str) -> Query:
    async def query() -> None:
        async with database.read_transaction(club.id) as scope:
            await scope.fetchval(statement)

    return query


async def _run_concurrently(query: Query, requests: int) -> list[float]:
    """The latencies of several concurrent clients, each of which executes the query so many times."""
    times: list[float] = []

    async def client() -> None:
        times.extend(await measure_latencies(query, requests))

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return times


def _highest_resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
