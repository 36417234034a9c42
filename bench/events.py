"""Events of sendings: ingest rate, storage, and latency of their history."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

from bench import event_ingest, postgres_cpu
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.event_ingest import BATCH_ROWS, LoadFunction, encode, p95, to_ndjson
from bench.latency import percentile
from bench.postgres_cpu import PostgresCpu
from bench.result import Findings
from bench.size import Size
from regulars.ingest.group_commit import GroupCommitter
from regulars.rollups import partitions
from regulars.storage.database import Database

MIN_EVENTS_PER_SECOND = 20_000
MAX_MS = 20
READS = 200

DISPATCHES = 290
"""Of each sending."""
KINDS = (
    ("scheduled", 1.0, 0),
    ("transmitted", 1.0, 2),
    ("delivered", 1.0, 4),
    ("opened", 0.4, 3_600),
    ("clicked", 0.05, 3_660),
)
"""Kinds of events, of which share of dispatches there is one, and after how many seconds on average."""
SENDING_INTERVAL_SECONDS = 3.6
"""Seconds from one sending to the next."""
WELCOME = (("transmitted", 1.0, 0), ("delivered", 1.0, 2), ("opened", 0.58, 86_400), ("opened", 0.2, 604_800))
WELCOME_ID = 1_000_000
TWO_YEARS = 63_072_000
PARTS = 10
SCATTERED = 20_000

_BY_EVENTS = """
SELECT
    count(DISTINCT dispatch_id), count(DISTINCT dispatch_id) FILTER (WHERE event_type = 5),
    count(DISTINCT dispatch_id) FILTER (WHERE event_type = 6), count(*) FILTER (WHERE event_type = 3)
FROM sending_events
WHERE community_id = $1 AND occurred_at >= $2 AND occurred_at < $3
  AND sending_id = (SELECT id FROM sendings WHERE community_id = $1 AND external_id = 'welcome')
"""

_STORAGE = """
SELECT sum(pg_total_relation_size(oid))
FROM pg_class
WHERE relkind = 'r' AND relname ~ '^(sending_(events|dispatches|daily_uniques|rollups)|recipient_rollups|sendings)'
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """10 million events of 10,000 sendings, ingested in tenths."""
    part, welcome = size.rows(1_000, 5), size.rows(100_000, 500)
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share, _ in KINDS)
    findings.describe(
        f"{part * PARTS:,} sendings, one every {SENDING_INTERVAL_SECONDS} s, of {DISPATCHES} dispatches each to 20,000 "
        f"profiles, and their events ({shares} of dispatches; opened after an hour on average) in the order of time, as NDJSON "
        f"in batches of {BATCH_ROWS:,}: each until it is durable, with all counters and buckets. After the first tenth "
        f"and at the end, sendings_events_history of one sending is requested {READS} times by hour, each time "
        f"another. Scattered: each event of a batch of another sending. A sending of two years has {welcome:,} "
        f"dispatches, opened after a day on average; sendings_stats of a year of it, between any two seconds, follows "
        f"the same counted from its events in the range."
    )
    store = environment.database("events")
    club = store.create_club("events")
    asyncio.run(_run(environment, store, club, (part, welcome), findings))


async def _run(
    environment: BenchEnvironment, store: BenchDatabase, club: BenchClub, amount: tuple[int, int], findings: Findings
) -> None:
    part, welcome = amount
    async with Database(store.app_url, 4) as database:
        await partitions.ensure(database)
        load = partial(event_ingest.load_ndjson, database, GroupCommitter(database, BATCH_ROWS), club)
        await load("profiles", to_ndjson({"external_id": f"C{n}", "gender": "female"} for n in range(20_000)))
        sendings = ({"external_id": f"S{n}", "channel": "email", "reporting_id": n + 1} for n in range(part * PARTS))
        await load("sendings", to_ndjson(sendings))
        began = datetime.now(UTC) - timedelta(seconds=part * PARTS * SENDING_INTERVAL_SECONDS, hours=24)
        rates: list[float] = []
        in_process: list[float] = []
        in_postgresql: list[PostgresCpu] = []
        reads: dict[int, list[float]] = {}
        ingested = 0
        for number in range(PARTS):
            events = list(_events(range(number * part, (number + 1) * part), began))
            ingested += len(events)
            before = time.perf_counter(), time.process_time()
            with postgres_cpu.measure(environment.postmaster_pid) as used:
                await load("sending_events", events)
            rates.append(len(events) / (time.perf_counter() - before[0]))
            in_process.append(1e6 * (time.process_time() - before[1]) / len(events))
            in_postgresql.append(used.per(len(events)))
            if number in (0, PARTS - 1):
                reads[number] = await p95(database, club, _bodies((number + 1) * part, began))
        with store.owner_connection() as connection:
            storage = connection.execute(_STORAGE.encode()).fetchone()
        scattered = list(_scattered(part * PARTS, began))
        began_scattered = time.perf_counter()
        await load("sending_events", scattered)
        findings.record(
            "events ingested, scattered", len(scattered) / (time.perf_counter() - began_scattered), "events/s"
        )
        await _year(database, load, club, welcome, findings)
    assert storage is not None
    rate = findings.record("events ingested", rates, "events/s")
    findings.record("CPU of this process", in_process, "µs an event")
    postgres_cpu.record(findings, "CPU of PostgreSQL", in_postgresql, "µs an event")
    findings.record("storage", float(storage[0]) / ingested, "bytes an event")
    findings.target_at_least(
        f"Events: at least {MIN_EVENTS_PER_SECOND:,} events/s, durable, all counters and buckets fresh",
        rate,
        MIN_EVENTS_PER_SECOND,
    )
    few = findings.record("history of one sending with a tenth of the events, p95", reads[0], "ms")
    many = findings.record("history of one sending with all events, p95", reads[PARTS - 1], "ms")
    findings.target_at_most(f"History of one sending: p95 under {MAX_MS} ms", many, MAX_MS)
    findings.target_at_most("History of one sending: no slower with ten times the events, times", many / few, 1.5)


async def _year(
    database: Database,
    load: LoadFunction,
    club: BenchClub,
    dispatches: int,
    findings: Findings,
) -> None:
    """A year of a sending that goes on, by the product and from its events."""
    await load("sendings", to_ndjson([{"external_id": "welcome", "channel": "email", "reporting_id": WELCOME_ID}]))
    began = datetime.now(UTC) - timedelta(seconds=TWO_YEARS, days=200)
    generator = Random(7)
    events: Iterator[dict[str, object]] = (
        {
            "external_id": f"{number}-{each}",
            "sending": "welcome",
            "dispatch": str(number),
            "event": kind,
            "at": (
                began + timedelta(seconds=number * TWO_YEARS / dispatches + after * generator.expovariate(1))
            ).isoformat(),
        }
        for number in range(dispatches)
        for each, (kind, share, after) in enumerate(WELCOME)
        if generator.random() < share
    )
    await load("sending_events", to_ndjson(events))
    starts = [began + timedelta(seconds=generator.randrange(TWO_YEARS // 2)) for _ in range(READS // 4)]
    latencies: list[float] = []
    for since in starts:
        before = time.perf_counter()
        async with database.read_transaction(club.id) as scope:
            await scope.fetchrow(_BY_EVENTS, club.id, since, since + timedelta(days=365))
        latencies.append(1e3 * (time.perf_counter() - before))
    bodies: list[dict[str, object]] = [
        {
            "report": "sendings_stats",
            "filter": {"type": "equal", "field": "reporting_id", "value": WELCOME_ID},
            "from": since.isoformat(),
            "to": (since + timedelta(days=365)).isoformat(),
        }
        for since in starts
    ]
    findings.record("a year of a sending that goes on, p95", await p95(database, club, bodies), "ms")
    findings.record("the same from its events, p95", percentile(latencies, 95), "ms")


def _events(sendings: Iterable[int], began: datetime) -> list[bytes]:
    """The events of sendings in the order of time. The seed is 7."""
    generator = Random(7)
    timed = [
        (
            sending * SENDING_INTERVAL_SECONDS + (generator.expovariate(1 / after) if after else 0),
            sending,
            dispatch,
            kind,
        )
        for sending in sendings
        for dispatch in range(DISPATCHES)
        for kind, share, after in KINDS
        if generator.random() < share
    ]
    return [
        _event(sending, dispatch, kind, began + timedelta(seconds=at)) for at, sending, dispatch, kind in sorted(timed)
    ]


def _scattered(sendings: int, began: datetime) -> Iterator[bytes]:
    for n in range(SCATTERED):
        yield _event(n % sendings, n // sendings, "complained", began + timedelta(minutes=n % 600))


def _event(sending: int, dispatch: int, kind: str, at: datetime) -> bytes:
    event = {
        "external_id": f"{sending}-{dispatch}-{kind}",
        "sending": f"S{sending}",
        "profile": f"C{(sending * 31 + dispatch) % 20_000}",
        "event": kind,
        "at": at.isoformat(),
    }
    return encode(event) + b"\n"


def _bodies(sendings: int, began: datetime) -> Iterator[dict[str, object]]:
    for n in range(READS):
        yield {
            "report": "sendings_events_history",
            "filter": {"type": "equal", "field": "reporting_id", "value": 1 + n * 37 % sendings},
            "interval": "1h",
            "from": began.isoformat(),
            "to": datetime.now(UTC).isoformat(),
        }
