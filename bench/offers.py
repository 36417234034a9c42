"""Events of offers: ingest rate, storage, and latency of their reports."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from bench import event_ingest, postgres_cpu
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.event_ingest import BATCH_ROWS, encode, p95, to_ndjson
from bench.postgres_cpu import PostgresCpu
from bench.result import Findings
from bench.size import Size
from regulars.ingest.group_commit import GroupCommitter
from regulars.rollups import partitions
from regulars.storage.database import Database

MIN_EVENTS_PER_SECOND = 20_000
MAX_MS = 20
PARTS = 5
DAYS = 10
"""Of events, in each part."""
KINDS = ("seen", "seen", "seen", "seen", "seen", "seen", "clicked", "granted", "granted", "used")
COLLECTIONS = 100
READS = 200

_STORAGE = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname ~ '^(offers|offer_)'
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """10 million events of 10,000 offers, ingested in fifths."""
    offers, events, members = size.rows(10_000, 50), size.rows(2_000_000, 2_000), size.rows(200_000, 500)
    findings.describe(
        f"{events * PARTS:,} events of {offers:,} offers in {COLLECTIONS} collections and 50 stores, by {members:,} "
        f"members, over {DAYS * PARTS} days, as NDJSON in batches of {BATCH_ROWS:,}: each until durable, with all "
        f"counters and buckets. After the first fifth and at the end, offers_events_history of one offer is requested "
        f"by day, over the first {DAYS} days, {READS} times, each time another. At the end offers_events_stats, whose "
        f"different members are counted exactly, is requested for one offer and for one collection over the last week, "
        f"and of all over the last week and over all {DAYS * PARTS} days."
    )
    store = environment.database("offers")
    club = store.create_club("offers")
    asyncio.run(_run(environment, store, club, (offers, events, members), findings))


async def _run(
    environment: BenchEnvironment,
    store: BenchDatabase,
    club: BenchClub,
    amount: tuple[int, int, int],
    findings: Findings,
) -> None:
    offers, events, members = amount
    async with Database(store.app_url, 4) as database:
        await partitions.ensure(database)
        load = partial(event_ingest.load_ndjson, database, GroupCommitter(database, BATCH_ROWS), club)
        await load("profiles", to_ndjson({"external_id": f"C{n}", "gender": "female"} for n in range(members)))
        await load("offers", to_ndjson(_offer(n) for n in range(offers)))
        ids = [each for n, each in enumerate(await _ids(database, club, "offers")) if n % 5 == 0][:READS]
        collections = await _ids(database, club, "offer_collections")
        began = datetime.now(UTC) - timedelta(days=DAYS * PARTS)
        rates: list[float] = []
        in_process: list[float] = []
        in_postgresql: list[PostgresCpu] = []
        reads: dict[int, list[float]] = {}
        for number in range(PARTS):
            content = list(_events(amount, number, began))
            before = time.perf_counter(), time.process_time()
            with postgres_cpu.measure(environment.postmaster_pid) as used:
                await load("offer_events", content)
            rates.append(events / (time.perf_counter() - before[0]))
            in_process.append(1e6 * (time.process_time() - before[1]) / events)
            in_postgresql.append(used.per(events))
            if number in (0, PARTS - 1):
                first_days = partial(_history, began, began + timedelta(days=DAYS - 1), "offer_id")
                reads[number] = await p95(database, club, map(first_days, ids))
        histories = partial(_history, began + timedelta(days=DAYS * (PARTS - 1)), datetime.now(UTC))
        collected = await p95(database, club, (histories("collection_ids", [each]) for each in collections))
        all_offers = await p95(database, club, (histories(None, None) for _ in range(5)))
        stats = partial(_stats, began + timedelta(days=DAYS * PARTS - 7))
        one = await p95(database, club, (stats("offer_id", each) for each in ids))
        collection = await p95(database, club, (stats("collection_ids", [each]) for each in collections))
        week = await p95(database, club, (stats() for _ in range(5)))
        all_events = await p95(database, club, (_stats(began) for _ in range(5)))
        with store.owner_connection() as connection:
            storage = connection.execute(_STORAGE.encode()).fetchone()
    assert storage is not None
    rate = findings.record("events ingested", rates, "events/s")
    findings.record("CPU of this process", in_process, "µs an event")
    postgres_cpu.record(findings, "CPU of PostgreSQL", in_postgresql, "µs an event")
    findings.record("storage", float(storage[0]) / (events * PARTS), "bytes an event")
    findings.target_at_least(
        f"Events: at least {MIN_EVENTS_PER_SECOND:,} events/s, durable, all counters and buckets fresh",
        rate,
        MIN_EVENTS_PER_SECOND,
    )
    few = findings.record("history of one offer with a fifth of the events, p95", reads[0], "ms")
    many = findings.record("history of one offer with all events, p95", reads[PARTS - 1], "ms")
    findings.target_at_most(f"History of one offer: p95 under {MAX_MS} ms", many, MAX_MS)
    findings.target_at_most("History of one offer: no slower with five times the events, times", many / few, 1.5)
    findings.record(f"history of a collection, {DAYS} days, p95", collected, "ms")
    findings.record(f"history of all offers, {DAYS} days, p95", all_offers, "ms")
    findings.record("statistics of one offer, a week, p95", one, "ms")
    findings.record("statistics of a collection, a week, p95", collection, "ms")
    findings.record("statistics of all offers, a week, p95", week, "ms")
    findings.record("statistics of all offers, all events, p95", all_events, "ms")


async def _ids(database: Database, club: BenchClub, table: str) -> list[int]:
    async with database.read_transaction(club.id) as scope:
        rows = await scope.fetch(f"SELECT id FROM {table} WHERE community_id = $1 ORDER BY id", club.id)
    return [row["id"] for row in rows]


def _offer(number: int) -> dict[str, object]:
    return {
        "external_id": f"O{number}",
        "name": f"Offer {number}",
        "type": ("discount", "gift", "bonus")[number % 3],
        "collections": [f"K{number % COLLECTIONS}", f"K{number * 7 % COLLECTIONS}"],
        "location": f"store-{number % 50}",
    }


def _events(amount: tuple[int, int, int], number: int, began: datetime) -> Iterator[bytes]:
    """In the order of their time; some offers are seen much more often than others."""
    offers, events, members = amount
    for n in range(events):
        offer = (n * 7919 % offers) * (n * 104_729 % offers) // offers
        event = {
            "external_id": f"{number}-{n}",
            "offer": f"O{offer}",
            "event": KINDS[n % len(KINDS)],
            "profile": f"C{n * 31_337 % members}",
            "at": (began + timedelta(days=DAYS * (number + n / events))).isoformat(),
        }
        yield encode(event) + b"\n"


def _history(since: datetime, until: datetime, field: str | None, value: object) -> dict[str, object]:
    return {
        "report": "offers_events_history",
        "filter": _filter(field, value),
        "interval": "1d",
        "from": since.isoformat(),
        "to": until.isoformat(),
    }


def _filter(field: str | None, value: object) -> dict[str, object] | None:
    kind = "in" if isinstance(value, list) else "equal"
    return None if field is None else {"type": kind, "field": field, "value": value}


def _stats(since: datetime, field: str | None = None, value: object = None) -> dict[str, object]:
    return {
        "report": "offers_events_stats",
        "filter": _filter(field, value),
        "from": since.isoformat(),
        "to": datetime.now(UTC).isoformat(),
    }
