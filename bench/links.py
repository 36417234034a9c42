"""Link visits: ingest rate, storage, and latency of counts of distinct visitors."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from bench import postgres_cpu
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.postgres_cpu import PostgresCpu
from bench.result import Findings
from bench.size import Size
from regulars.auth.tenants import Tenant
from regulars.ingest.group_commit import GroupCommitter
from regulars.loading import catalog, loader
from regulars.loading.batches import LoadOptions
from regulars.loading.readers.text import read_ndjson, split_lines
from regulars.query.backends import Backends
from regulars.query.formats.statistics import statistics
from regulars.query.formats.timeseries import timeseries
from regulars.query.parser.request import parse_query
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import ReportFormat
from regulars.rollups import partitions
from regulars.storage.database import Database

Load = Callable[[str, Iterable[bytes]], Awaitable[None]]

LEAST = 5_000
MOST_MILLISECONDS = 100
MOST_BYTES = 2_000
BATCH_ROWS = 5_000
PARTS = 10
LINKS_OF_SENDING = 8
OTHER_LINKS = 200
READS = 20
ROUNDS = 5

_encode = msgspec.json.Encoder().encode

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
        load = partial(_load, database, GroupCommitter(database, BATCH_ROWS), club)
        sendings = (
            {"external_id": f"S{n}", "channel": "email", "reporting_id": n + 1} for n in range(part.sendings * PARTS)
        )
        await load("sendings", _lines(sendings))
        await _report(environment, load, part, began, findings)
        storage = _storage(store)
        findings.record("storage", storage / (part.visits * PARTS), "bytes a visit")
        await _measure_reads(database, club, began, findings)
        lone = part.visits // 10
        await load("link_visits", _lines(_lone(lone, began)))
        sparsest = findings.record(
            "storage, each of a link of its own", (_storage(store) - storage) / lone, "bytes a visit"
        )
    claim = f"Visits of a link each, by a visitor each: at most {MOST_BYTES:,} bytes"
    findings.target_at_most(claim, sparsest, MOST_BYTES)


async def _report(
    environment: BenchEnvironment, load: Load, part: _Amount, began: datetime, findings: Findings
) -> None:
    chance = random.Random(1)
    rates: list[float] = []
    in_process: list[float] = []
    in_postgresql: list[PostgresCpu] = []
    for number in range(PARTS):
        visits = list(_visits(chance, part, number, began))
        before = time.perf_counter(), time.process_time()
        with postgres_cpu.measure(environment.postmaster_pid) as used:
            await load("link_visits", visits)
        rates.append(part.visits / (time.perf_counter() - before[0]))
        in_process.append(1e6 * (time.process_time() - before[1]) / part.visits)
        in_postgresql.append(used.per(part.visits))
    rate = findings.record("visits ingested", rates, "visits/s")
    findings.record("CPU of this process", in_process, "µs a visit")
    postgres_cpu.record(findings, "CPU of PostgreSQL", in_postgresql, "µs a visit")
    findings.target_at_least(f"Visits: at least {LEAST:,} visits/s, durable, all buckets fresh", rate, LEAST)


def _storage(store: BenchDatabase) -> float:
    with store.owner_connection() as connection:
        row = connection.execute(_STORAGE.encode()).fetchone()
    assert row is not None
    return float(row[0])


def _lines(rows: Iterable[dict[str, object]]) -> Iterator[bytes]:
    return (_encode(each) + b"\n" for each in rows)


def _lone(number: int, began: datetime) -> Iterator[dict[str, object]]:
    for n in range(number):
        yield {"external_id": f"L{n}", "at": _at(began, n % 365), "url": f"https://l.example/{n}", "visitor": f"l{n}"}


def _at(began: datetime, days: float) -> str:
    return (began + timedelta(days=days)).isoformat()


def _visits(chance: random.Random, part: _Amount, number: int, began: datetime) -> Iterator[bytes]:
    """In the order of their time within an hour or so, as they would come."""
    days = 365 / PARTS
    visits: list[tuple[float, dict[str, object]]] = []
    for n in range(part.visits):
        visitor = f"cookie-{int(part.visitors * chance.random() ** 1.5)}"
        visit: dict[str, object] = {"external_id": f"{number}-{n}", "visitor": visitor}
        if chance.random() < 0.7:
            sending = number * part.sendings + chance.randrange(part.sendings)
            day = min(days * (sending % part.sendings) / part.sendings + chance.expovariate(0.7), days)
            link = int(LINKS_OF_SENDING * chance.random() ** 2)
            query = f"utm_source=mail&utm_campaign=c{sending % 50}&utm_content={link}&token={n}"
            visit |= {"sending": f"S{sending}", "url": f"https://shop.example/{sending}/{link}?{query}"}
        else:
            day = days * chance.random()
            link = int(OTHER_LINKS * chance.random() ** 3)
            visit["url"] = f"https://www{link % 5}.example/{link}"
        visits.append((day, visit | {"at": _at(began, number * days + day)}))
    visits.sort(key=lambda each: each[0] + chance.random() / 24)
    return (_encode(each) + b"\n" for _, each in visits)


async def _load(
    database: Database, committers: GroupCommitter, club: BenchClub, entity: str, pieces: Iterable[bytes]
) -> None:
    options = LoadOptions(batch_rows=BATCH_ROWS)
    summary = await loader.load_and_finish(
        database,
        committers,
        club.id,
        entity,
        lambda: read_ndjson(split_lines(pieces), catalog.columns_of(entity)),
        options,
    )
    assert not summary.rejected, summary.rejections[:3]


_QUESTIONS: Mapping[str, Mapping[str, object]] = {
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
    customer = Tenant(club.id, club.id, club.id, 1, "links", "links", "Europe/Oslo", "NOK", 2, {})
    worst = 0.0
    for name, query in _QUESTIONS.items():
        rounds = [await _round(database, customer, began, query, 7 * number) for number in range(ROUNDS)]
        percentile = findings.record(f"different visitors of a year, {name}, p95", rounds, "ms")
        worst = max(worst, percentile)
    claim = f"Different visitors of a year: p95 under {MOST_MILLISECONDS} ms, for all queries"
    findings.target_at_most(claim, worst, MOST_MILLISECONDS)


async def _round(
    database: Database, customer: Tenant, began: datetime, parameters: Mapping[str, object], first: int
) -> float:
    """The 95th percentile of milliseconds."""
    took = []
    for n in range(READS):
        since = began + timedelta(days=n - first, hours=n % 24)
        body = {
            "report": "links_visits_history" if "interval" in parameters else "links_visits_stats",
            "from": since.isoformat(),
            "to": (since + timedelta(days=365)).isoformat(),
            **parameters,
        }
        before = time.perf_counter()
        query = parse_query(_encode(body), REPORTS_BY_NAME)
        answer = statistics if query.report.format is ReportFormat.STATISTICS else timeseries
        await answer(query, [customer], Backends(database), datetime.now(UTC))
        took.append(1e3 * (time.perf_counter() - before))
    return sorted(took)[int(0.95 * (READS - 1))]
