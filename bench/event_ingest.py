"""Ingests events until they are durable, and runs reports as a client does."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from bench.environment import BenchClub
from bench.latency import percentile
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
from regulars.storage.database import Database

BATCH_ROWS = 5_000
ROUNDS = 5

LoadFunction = Callable[[str, Iterable[bytes]], Awaitable[None]]
"""Loads NDJSON of an entity by its name."""

encode = msgspec.json.Encoder().encode

FORMATS = {ReportFormat.TIMESERIES: timeseries, ReportFormat.STATISTICS: statistics}
"""The function that executes a report of each format."""


def to_ndjson(rows: Iterable[dict[str, object]]) -> Iterator[bytes]:
    """Rows as NDJSON."""
    return (encode(each) + b"\n" for each in rows)


async def load_ndjson(
    database: Database, committers: GroupCommitter, club: BenchClub, entity: str, pieces: Iterable[bytes]
) -> None:
    """Loads NDJSON; no row may be rejected."""
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


async def p95(database: Database, club: BenchClub, bodies: Iterable[dict[str, object]]) -> list[float]:
    """95th percentile of the duration of requests in milliseconds, for each of five rounds."""
    tenant = Tenant(club.id, club.id, club.id, 1, "events", "events", "Europe/Oslo", "NOK", 2, {})
    rounds: list[list[float]] = [[] for _ in range(ROUNDS)]
    for number, body in enumerate(bodies):
        query = parse_query(encode(body), REPORTS_BY_NAME)
        began = time.perf_counter()
        await FORMATS[query.report.format](query, [tenant], Backends(database), datetime.now(UTC))
        rounds[number % ROUNDS].append(1e3 * (time.perf_counter() - began))
    return [percentile(each, 95) for each in rounds]
