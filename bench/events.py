"""Events of sendings: how fast they are told, what room they take, and how fast their history is read."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import msgspec

from bench import processes
from bench.place import Club, Place, Store
from bench.result import Findings
from bench.size import Size
from regulars.access.customers import Customer
from regulars.ingest import bulk, ndjson_rows
from regulars.ingest.batches import Options
from regulars.ingest.grouping import Committers
from regulars.ingest.lines import lines
from regulars.query.execution import Stores
from regulars.query.request import parse
from regulars.query.timeseries import timeseries
from regulars.reports import rollups
from regulars.reports.registry import BY_NAME
from regulars.storage.database import Database

LEAST = 20_000
MOST_MILLISECONDS = 20
BATCH_ROWS = 5_000
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
EVERY = 3.6
"""Seconds from one sending to the next."""
PARTS = 10
SCATTERED = 20_000

_encode = msgspec.json.Encoder().encode

_ROOM = """
SELECT sum(pg_total_relation_size(oid))
FROM pg_class
WHERE relkind = 'r' AND relname ~ '^(sending_events|sending_dispatches|sending_rollups|recipient_rollups|sendings)'
"""


def run(where: Place, size: Size, findings: Findings) -> None:
    """10 million events of 10,000 sendings, told tenth by tenth."""
    part = size.rows(1_000, 5)
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share, _ in KINDS)
    findings.did(
        f"{part * PARTS:,} sendings, one every {EVERY} s, of {DISPATCHES} dispatches each to 20,000 profiles, and "
        f"their events ({shares} of dispatches; opened after an hour on average) in the order of time, as NDJSON in "
        f"batches of {BATCH_ROWS:,}: each until it is durable, with all counters and buckets. After the first tenth "
        f"and at the end, sendings_events_history of one sending is asked for {READS} times by hour, each time "
        f"another. Scattered: each event of a batch of another sending."
    )
    store = where.store("events")
    club = store.club("events")
    asyncio.run(_run(where, store, club, part, findings))


async def _run(where: Place, store: Store, club: Club, part: int, findings: Findings) -> None:
    async with Database(store.app_url, 4) as database:
        await rollups.keep(database)
        load = partial(_load, database, Committers(database, BATCH_ROWS), club)
        await load("profiles", _lines({"external_id": f"C{n}", "gender": "female"} for n in range(20_000)))
        known = ({"external_id": f"S{n}", "channel": "email", "reporting_id": n + 1} for n in range(part * PARTS))
        await load("sendings", _lines(known))
        began = datetime.now(UTC) - timedelta(seconds=part * PARTS * EVERY, hours=24)
        rates: list[float] = []
        here: list[float] = []
        there: list[float] = []
        reads: dict[int, list[float]] = {}
        told = 0
        for number in range(PARTS):
            events = list(_events(range(number * part, (number + 1) * part), began))
            told += len(events)
            before = time.perf_counter(), time.process_time(), processes.cpu_seconds(where.postmaster)
            await load("sending_events", events)
            rates.append(len(events) / (time.perf_counter() - before[0]))
            here.append(1e6 * (time.process_time() - before[1]) / len(events))
            there.append(1e6 * (processes.cpu_seconds(where.postmaster) - before[2]) / len(events))
            if number in (0, PARTS - 1):
                reads[number] = await _reads(database, club, (number + 1) * part, began)
        with store.owner() as connection:
            room = connection.execute(_ROOM.encode()).fetchone()
        scattered = list(_scattered(part * PARTS, began))
        clock = time.perf_counter()
        await load("sending_events", scattered)
        findings.found("events told, scattered", len(scattered) / (time.perf_counter() - clock), "events/s")
    assert room is not None
    rate = findings.found("events told", rates, "events/s")
    findings.found("CPU of this process", here, "µs an event")
    findings.found("CPU of PostgreSQL", there, "µs an event")
    findings.found("room", float(room[0]) / told, "bytes an event")
    findings.at_least(f"Events: at least {LEAST:,} events/s, durable, all counters and buckets fresh", rate, LEAST)
    few = findings.found("history of one sending with a tenth of the events, p95", reads[0], "ms")
    many = findings.found("history of one sending with all events, p95", reads[PARTS - 1], "ms")
    findings.at_most(f"History of one sending: p95 under {MOST_MILLISECONDS} ms", many, MOST_MILLISECONDS)
    findings.at_most("History of one sending: no slower with ten times the events, times", many / few, 1.5)


def _lines(rows: Iterable[dict[str, object]]) -> Iterator[bytes]:
    return (_encode(each) + b"\n" for each in rows)


def _events(sendings: Iterable[int], began: datetime) -> list[bytes]:
    """The events of sendings in the order of time. The seed is 7."""
    dice = Random(7)
    timed = [
        (sending * EVERY + (dice.expovariate(1 / after) if after else 0), sending, dispatch, kind)
        for sending in sendings
        for dispatch in range(DISPATCHES)
        for kind, share, after in KINDS
        if dice.random() < share
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
    return _encode(event) + b"\n"


async def _load(database: Database, committers: Committers, club: Club, entity: str, pieces: Iterable[bytes]) -> None:
    options = Options(batch_rows=BATCH_ROWS)
    summary = await bulk.load_one(
        database, committers, club.id, entity, lambda: ndjson_rows.rows(lines(pieces)), options
    )
    assert not summary.rejected, summary.rejections[:3]


async def _reads(database: Database, club: Club, sendings: int, began: datetime) -> list[float]:
    """The 95th percentile of milliseconds, of five rounds."""
    customer = Customer(club.id, club.id, club.id, 1, "events", "events", "Europe/Oslo", "NOK", 2, {})
    found = []
    for round_number in range(5):
        took = []
        for n in range(READS // 5):
            body = {
                "report": "sendings_events_history",
                "filter": {
                    "type": "equal",
                    "field": "reporting_id",
                    "value": 1 + (round_number * READS + n * 37) % sendings,
                },
                "interval": "1h",
                "from": began.isoformat(),
                "to": datetime.now(UTC).isoformat(),
            }
            before = time.perf_counter()
            await timeseries(parse(_encode(body), BY_NAME), [customer], Stores(database), datetime.now(UTC))
            took.append(1e3 * (time.perf_counter() - before))
        found.append(sorted(took)[int(0.95 * len(took))])
    return found
