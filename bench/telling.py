"""Events told as they come in, until they are durable, and reports asked for as a client asks."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from bench.place import Club
from regulars.access.customers import Customer
from regulars.ingest import bulk, ndjson_rows
from regulars.ingest.batches import Options
from regulars.ingest.grouping import Committers
from regulars.ingest.lines import lines
from regulars.query.execution import Stores
from regulars.query.request import parse
from regulars.query.statistics import statistics
from regulars.query.timeseries import timeseries
from regulars.reports.registry import BY_NAME
from regulars.reports.report import Format
from regulars.storage.database import Database

BATCH_ROWS = 5_000
ROUNDS = 5

encode = msgspec.json.Encoder().encode

_ANSWERS = {Format.TIMESERIES: timeseries, Format.STATISTICS: statistics}


def as_lines(rows: Iterable[dict[str, object]]) -> Iterator[bytes]:
    """Rows as NDJSON."""
    return (encode(each) + b"\n" for each in rows)


async def load(database: Database, committers: Committers, club: Club, entity: str, pieces: Iterable[bytes]) -> None:
    """Loads NDJSON, none of which may be refused."""
    options = Options(batch_rows=BATCH_ROWS)
    summary = await bulk.load_one(
        database, committers, club.id, entity, lambda: ndjson_rows.rows(lines(pieces)), options
    )
    assert not summary.rejected, summary.rejections[:3]


async def p95(database: Database, club: Club, bodies: Iterable[dict[str, object]]) -> list[float]:
    """The 95th percentile of the milliseconds that requests take, of each of five rounds of them."""
    customer = Customer(club.id, club.id, club.id, 1, "events", "events", "Europe/Oslo", "NOK", 2, {})
    rounds: list[list[float]] = [[] for _ in range(ROUNDS)]
    for number, body in enumerate(bodies):
        query = parse(encode(body), BY_NAME)
        before = time.perf_counter()
        await _ANSWERS[query.report.format](query, [customer], Stores(database), datetime.now(UTC))
        rounds[number % ROUNDS].append(1e3 * (time.perf_counter() - before))
    return [sorted(took)[int(0.95 * len(took))] for took in rounds]
