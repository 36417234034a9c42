"""Events of sendings: how fast they are told, what room they take, and how fast their history is read."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from bench import processes, telling
from bench.place import Club, Place, Store
from bench.result import Findings
from bench.size import Size
from bench.telling import BATCH_ROWS, as_lines, encode, p95
from regulars.ingest.grouping import Committers
from regulars.reports import rollups
from regulars.storage.database import Database

LEAST = 20_000
MOST_MILLISECONDS = 20
KINDS = ("scheduled", "transmitted", "delivered", "opened", "clicked")
READS = 200

_ROOM = """
SELECT sum(pg_total_relation_size(oid))
FROM pg_class
WHERE relkind = 'r' AND relname ~ '^(sending_events|sending_dispatches|sending_rollups|recipient_rollups|sendings)'
"""


@dataclass(frozen=True)
class _Amount:
    sendings: int
    dispatches: int
    """Of each sending."""

    @property
    def events(self) -> int:
        return self.sendings * self.dispatches * len(KINDS)


def run(where: Place, size: Size, findings: Findings) -> None:
    """10 million events of 10,000 sendings, told tenth by tenth."""
    sendings = size.rows(10_000, 50)
    part = _Amount(sendings, 20)
    parts = 10
    findings.did(
        f"{part.events * parts:,} events of {sendings:,} sendings, five a dispatch, to 20,000 profiles, as NDJSON in "
        f"batches of {BATCH_ROWS:,}: each until it is durable, with all counters and buckets. After the first tenth "
        f"and at the end, sendings_events_history of one sending is asked for {READS} times by hour, each time another."
    )
    store = where.store("events")
    club = store.club("events")
    asyncio.run(_run(where, store, club, part, parts, findings))


async def _run(where: Place, store: Store, club: Club, part: _Amount, parts: int, findings: Findings) -> None:
    async with Database(store.app_url, 4) as database:
        await rollups.keep(database)
        load = partial(telling.load, database, Committers(database, BATCH_ROWS), club)
        await load("profiles", as_lines({"external_id": f"C{n}", "gender": "female"} for n in range(20_000)))
        known = ({"external_id": f"S{n}", "channel": "email", "reporting_id": n + 1} for n in range(part.sendings))
        await load("sendings", as_lines(known))
        began = datetime.now(UTC) - timedelta(hours=parts + 3)
        rates: list[float] = []
        here: list[float] = []
        there: list[float] = []
        reads: dict[int, list[float]] = {}
        for number in range(parts):
            events = list(_events(part, number, began))
            before = time.perf_counter(), time.process_time(), processes.cpu_seconds(where.postmaster)
            await load("sending_events", events)
            rates.append(part.events / (time.perf_counter() - before[0]))
            here.append(1e6 * (time.process_time() - before[1]) / part.events)
            there.append(1e6 * (processes.cpu_seconds(where.postmaster) - before[2]) / part.events)
            if number in (0, parts - 1):
                reads[number] = await p95(database, club, _bodies(part.sendings, began))
        with store.owner() as connection:
            room = connection.execute(_ROOM.encode()).fetchone()
    assert room is not None
    rate = findings.found("events told", rates, "events/s")
    findings.found("CPU of this process", here, "µs an event")
    findings.found("CPU of PostgreSQL", there, "µs an event")
    findings.found("room", float(room[0]) / (part.events * parts), "bytes an event")
    findings.at_least(f"Events: at least {LEAST:,} events/s, durable, all counters and buckets fresh", rate, LEAST)
    few = findings.found("history of one sending with a tenth of the events, p95", reads[0], "ms")
    many = findings.found("history of one sending with all events, p95", reads[parts - 1], "ms")
    findings.at_most(f"History of one sending: p95 under {MOST_MILLISECONDS} ms", many, MOST_MILLISECONDS)
    findings.at_most("History of one sending: no slower with ten times the events, times", many / few, 1.5)


def _events(part: _Amount, number: int, began: datetime) -> Iterator[bytes]:
    """Kind by kind, as they would come: of all sendings, spread over the hours of that tenth."""
    for place, kind in enumerate(KINDS):
        for n in range(part.sendings * part.dispatches):
            sending, dispatch = n % part.sendings, number * part.dispatches + n // part.sendings
            at = began + timedelta(hours=number, minutes=12 * place, seconds=n % 600)
            event = {
                "external_id": f"{sending}-{dispatch}-{kind}",
                "sending": f"S{sending}",
                "profile": f"C{(sending * 31 + dispatch) % 20_000}",
                "event": kind,
                "at": at.isoformat(),
            }
            yield encode(event) + b"\n"


def _bodies(sendings: int, began: datetime) -> Iterator[dict[str, object]]:
    for n in range(READS):
        yield {
            "report": "sendings_events_history",
            "filter": {"type": "equal", "field": "reporting_id", "value": 1 + n * 37 % sendings},
            "interval": "1h",
            "from": began.isoformat(),
            "to": datetime.now(UTC).isoformat(),
        }
