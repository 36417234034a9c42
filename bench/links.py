"""Link visits: ingest rate, storage, and latency of counts of distinct visitors."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from bench import postgres_cpu
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.event_ingest import BATCH_ROWS, FORMATS, LoadFunction, encode, load_ndjson, to_ndjson
from bench.postgres_cpu import PostgresCpu
from bench.result import Findings
from bench.size import Size
from regulars.auth.tenants import Tenant
from regulars.ingest.group_commit import GroupCommitter
from regulars.query.backends import Backends
from regulars.query.parser.request import parse_query
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.rollups import partitions
from regulars.storage.database import Database

MIN_VISITS_PER_SECOND = 5_000
MAX_MS = 100
MAX_BYTES = 2_000
PARTS = 10
LINKS_OF_SENDING = 8
OTHER_LINKS = 200
READS = 20
ROUNDS = 5

_STORAGE = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname ~ '^(links$|link_)'
"""


@dataclass(frozen=True)
class _Amount:
    """Of a part, which is a tenth of a year."""

    visits: int
    sendings: int
    visitors: int
    """Of the whole year."""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """3 million visits of a year, ingested in tenths."""
    part = _Amount(size.rows(300_000, 500), size.rows(40, 2), size.rows(300_000, 200))
    findings.describe(
        f"{part.visits * PARTS:,} visits of a year by {part.visitors:,} visitors, as NDJSON in batches of "
        f"{BATCH_ROWS:,}: each until it is durable, with all buckets. Seven of ten come from {part.sendings * PARTS:,} "
        f"sendings of {LINKS_OF_SENDING} links each, mostly within days of each other, the others of {OTHER_LINKS} "
        f"links all the year. Then each query runs {ROUNDS} times {READS} times, of a year that begins on "
        f"another day each time. Last, visits that are each of a link of its own are ingested, to see what storage the "
        f"sparsest buckets take."
    )
    store = environment.database("links")
    asyncio.run(_run(environment, store, store.create_club("links"), part, findings))


async def _run(
    environment: BenchEnvironment, store: BenchDatabase, club: BenchClub, part: _Amount, findings: Findings
) -> None:
    began = datetime.now(UTC) - timedelta(days=365)
    async with Database(store.app_url, 4) as database:
        await partitions.ensure(database)
        load = partial(load_ndjson, database, GroupCommitter(database, BATCH_ROWS), club)
        sendings = (
            {"external_id": f"S{n}", "channel": "email", "reporting_id": n + 1} for n in range(part.sendings * PARTS)
        )
        await load("sendings", to_ndjson(sendings))
        await _measure_ingest(environment, load, part, began, findings)
        storage = _storage(store)
        findings.record("storage", storage / (part.visits * PARTS), "bytes a visit")
        await _measure_reads(database, club, began, findings)
        sparse_visits = part.visits // 10
        await load("link_visits", to_ndjson(_sparse_visits(sparse_visits, began)))
        sparsest = findings.record(
            "storage, each of a link of its own", (_storage(store) - storage) / sparse_visits, "bytes a visit"
        )
    claim = f"Visits of a link each, by a visitor each: at most {MAX_BYTES:,} bytes"
    findings.target_at_most(claim, sparsest, MAX_BYTES)


async def _measure_ingest(
    environment: BenchEnvironment, load: LoadFunction, part: _Amount, began: datetime, findings: Findings
) -> None:
    generator = random.Random(1)
    rates: list[float] = []
    in_process: list[float] = []
    in_postgresql: list[PostgresCpu] = []
    for number in range(PARTS):
        visits = list(_visits(generator, part, number, began))
        started = time.perf_counter(), time.process_time()
        with postgres_cpu.measure(environment.postmaster_pid) as used:
            await load("link_visits", visits)
        rates.append(part.visits / (time.perf_counter() - started[0]))
        in_process.append(1e6 * (time.process_time() - started[1]) / part.visits)
        in_postgresql.append(used.per(part.visits))
    rate = findings.record("visits ingested", rates, "visits/s")
    findings.record("CPU of this process", in_process, "µs a visit")
    postgres_cpu.record(findings, "CPU of PostgreSQL", in_postgresql, "µs a visit")
    findings.target_at_least(
        f"Visits: at least {MIN_VISITS_PER_SECOND:,} visits/s, durable, all buckets fresh", rate, MIN_VISITS_PER_SECOND
    )


def _storage(store: BenchDatabase) -> float:
    with store.owner_connection() as connection:
        row = connection.execute(_STORAGE.encode()).fetchone()
    assert row is not None
    return float(row[0])


def _sparse_visits(number: int, began: datetime) -> Iterator[dict[str, object]]:
    for n in range(number):
        yield {"external_id": f"L{n}", "at": _at(began, n % 365), "url": f"https://l.example/{n}", "visitor": f"l{n}"}


def _at(began: datetime, days: float) -> str:
    return (began + timedelta(days=days)).isoformat()


def _visits(generator: random.Random, part: _Amount, number: int, began: datetime) -> Iterator[bytes]:
    """In the order of their time within an hour or so, as they would come."""
    days = 365 / PARTS
    visits: list[tuple[float, dict[str, object]]] = []
    for n in range(part.visits):
        visitor = f"cookie-{int(part.visitors * generator.random() ** 1.5)}"
        visit: dict[str, object] = {"external_id": f"{number}-{n}", "visitor": visitor}
        if generator.random() < 0.7:
            sending = number * part.sendings + generator.randrange(part.sendings)
            day = min(days * (sending % part.sendings) / part.sendings + generator.expovariate(0.7), days)
            link = int(LINKS_OF_SENDING * generator.random() ** 2)
            parameters = f"utm_source=mail&utm_campaign=c{sending % 50}&utm_content={link}&token={n}"
            visit |= {"sending": f"S{sending}", "url": f"https://shop.example/{sending}/{link}?{parameters}"}
        else:
            day = days * generator.random()
            link = int(OTHER_LINKS * generator.random() ** 3)
            visit["url"] = f"https://www{link % 5}.example/{link}"
        visits.append((day, visit | {"at": _at(began, number * days + day)}))
    visits.sort(key=lambda each: each[0] + generator.random() / 24)
    return (encode(each) + b"\n" for _, each in visits)


_QUERIES: Mapping[str, Mapping[str, object]] = {
    "of all links": {},
    "by host": {"aggregate_by": "host"},
    "by source": {"aggregate_by": "source_id"},
    "of a campaign": {"filter": {"type": "equal", "field": "utm_campaign", "value": "c7"}},
    "of one sending": {"filter": {"type": "equal", "field": "source_id", "value": "7"}},
    "of half of the paths": {
        "filter": {"type": "not", "operation": {"type": "contains", "field": "path", "value": "7"}}
    },
    "of all links, by month": {"interval": "1mo"},
    "of all links, by week": {"interval": "1w"},
}


async def _measure_reads(database: Database, club: BenchClub, began: datetime, findings: Findings) -> None:
    tenant = Tenant(club.id, club.id, club.id, 1, "links", "links", "Europe/Oslo", "NOK", 2, {})
    worst = 0.0
    for name, parameters in _QUERIES.items():
        rounds = [await _round(database, tenant, began, parameters, 7 * number) for number in range(ROUNDS)]
        percentile = findings.record(f"different visitors of a year, {name}, p95", rounds, "ms")
        worst = max(worst, percentile)
    claim = f"Different visitors of a year: p95 under {MAX_MS} ms, for all queries"
    findings.target_at_most(claim, worst, MAX_MS)


async def _round(
    database: Database, tenant: Tenant, began: datetime, parameters: Mapping[str, object], first: int
) -> float:
    """The 95th percentile of milliseconds."""
    latencies = []
    for n in range(READS):
        since = began + timedelta(days=n - first, hours=n % 24)
        body = {
            "report": "links_visits_history" if "interval" in parameters else "links_visits_stats",
            "from": since.isoformat(),
            "to": (since + timedelta(days=365)).isoformat(),
            **parameters,
        }
        started = time.perf_counter()
        query = parse_query(encode(body), REPORTS_BY_NAME)
        await FORMATS[query.report.format](query, [tenant], Backends(database), datetime.now(UTC))
        latencies.append(1e3 * (time.perf_counter() - started))
    return sorted(latencies)[int(0.95 * (READS - 1))]
