"""Bulk writes: transactions a second, durable and with all values fresh, and the CPU of each stage."""

import asyncio
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench import load_generator, postgres_cpu
from bench.environment import BenchClub, BenchEnvironment, wait_for_autovacuum
from bench.import_client import upload_import
from bench.requests import batches, file_lines, profile_id
from bench.result import Findings, format_number
from bench.seed_data import seed_database, sql
from bench.serving import RunningServer, serve
from bench.size import Size
from bench.stages import STAGES, StageMeter, refresh_by_part
from regulars.api.imports import BATCH_ROWS
from regulars.ingest.group_commit import GroupCommitter
from regulars.loading import catalog
from regulars.loading import loader as loading
from regulars.loading.batches import LoadOptions
from regulars.loading.readers.files import FileFormat, inspect_file
from regulars.storage.database import Database

ROUNDS = 3
MIN_TRANSACTIONS_PER_SECOND = 5_000


def sizes(size: Size) -> tuple[int, int]:
    """How many profiles and transactions are stored."""
    return size.rows(200_000, 1_000), size.rows(2_000_000, 10_000)


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Files and batches of random profiles among 200,000 with 2 million transactions."""
    profiles, stored = sizes(size)
    rows = size.rows(60_000, 2_000)
    findings.describe(f"{stored:,} transactions of {profiles:,} profiles stored; what comes in is of random profiles.")
    findings.describe(
        f"Files of {rows:,} transactions by POST /v1/import/transactions, one after another, each transaction with no "
        f"or with two lines, each line found by its sku. The rate counts from the first byte sent to the answer, when "
        f"all is durable and every value fresh."
    )
    store = environment.database()
    club = store.create_club("bulk")
    seed_database(store, club, profiles, stored)
    with serve(environment, store) as server:
        for lines in (0, 2):
            case = f"import, {'two lines each' if lines else 'no lines'}"
            send = partial(_import, server, club, profiles, rows, lines)
            _rounds(environment, server, case, size.rounds(ROUNDS), send, findings)
        case = "batch.json of 500, two lines each, 4 clients"
        send = partial(_batches, server, club, profiles, max(4, rows // 500))
        _rounds(environment, server, case, size.rounds(ROUNDS), send, findings)
    with store.owner_connection() as connection:
        wait_for_autovacuum(connection)
    asyncio.run(_measure_stages(environment, store.app_url, club, profiles, rows, findings))


SendFunction = Callable[[], tuple[int, float]]
"""Sends a round; returns the number of transactions and the seconds."""


def _rounds(
    environment: BenchEnvironment, server: RunningServer, case: str, rounds: int, send: SendFunction, findings: Findings
) -> None:
    rates, server_cpu, database_cpu = [], [], []
    for index in range(rounds + 1):
        before = server.cpu_seconds()
        with postgres_cpu.measure(environment.postmaster_pid) as used:
            rows, seconds = send()
        if index == 0:
            # Connections are opened and statements planned.
            continue
        rates.append(rows / seconds)
        server_cpu.append(1e6 * (server.cpu_seconds() - before) / rows)
        database_cpu.append(used.per(rows))
    rate = findings.record(case, rates, "transactions/s")
    findings.record(f"{case}: CPU of the server", server_cpu, "µs a transaction")
    postgres_cpu.record(findings, f"{case}: CPU of PostgreSQL, all its processes", database_cpu, "µs a transaction")
    findings.target_at_least(
        f"Bulk, {case}: at least {MIN_TRANSACTIONS_PER_SECOND:,} transactions/s, durable and fresh",
        rate,
        MIN_TRANSACTIONS_PER_SECOND,
    )


def _import(server: RunningServer, club: BenchClub, profiles: int, rows: int, lines: int) -> tuple[int, float]:
    pieces = list(file_lines(club, profiles, rows, lines=lines))
    began = time.perf_counter()
    response = upload_import(server.port, club, pieces)
    seconds = time.perf_counter() - began
    assert response["accepted"] == rows, response
    return rows, seconds


def _batches(server: RunningServer, club: BenchClub, profiles: int, batch_count: int) -> tuple[int, float]:
    requests = batches(club, range(1, profiles + 1), batch_count, 500)
    load = load_generator.closed_loop(server.port, iter(requests), 4, 600).require(200)
    return batch_count * 500, load.seconds


# By stage -----------------------------------------------------------------------------------------------


async def _measure_stages(
    environment: BenchEnvironment, url: str, club: BenchClub, profiles: int, rows: int, findings: Findings
) -> None:
    findings.describe(
        "By stage: the same files through the product's own loading in one process, with one connection; after "
        "every statement the CPU of the loading thread and of the connection's process is noted. Parts of the refresh: "
        "the statement cut off after each of them, on the same state, each time undone."
    )
    for lines in (0, 2):
        path = environment.folder / f"stages-{lines}.ndjson"
        with path.open("wb") as file:
            for piece in file_lines(club, profiles, rows, lines=lines):
                file.write(piece)
        async with Database(url, 1) as database:
            await _load(database, club, path)
            with path.open("wb") as file:
                for piece in file_lines(club, profiles, rows, lines=lines):
                    file.write(piece)
            meter = StageMeter()
            async with database.unscoped_connection() as connection:
                await meter.watch(connection)
            with meter.parsing():
                await _load(database, club, path)
        case = "two lines each" if lines else "no lines"
        _table(meter, rows, f"Microseconds a transaction by stage, {case}, batches of {BATCH_ROWS:,}", findings)
    async with Database(url, 1) as database:
        generator = random.Random(5)
        profile_batches = [
            sorted(
                profile_id(club, each) for each in generator.sample(range(1, profiles + 1), min(1_000, profiles // 2))
            )
            for _ in range(5)
        ]
        cpu_by_part = await refresh_by_part(database, club.id, profile_batches, sql("insert_sales"))

    def microseconds_per_profile(nanoseconds: list[int]) -> str:
        return format_number(statistics.median(nanoseconds) / len(profile_batches[0]) / 1000)

    findings.add_table(
        f"Microseconds of PostgreSQL a profile within the refresh, {len(profile_batches[0]):,} profiles together",
        ("part", "CPU"),
        [(name, microseconds_per_profile(nanoseconds)) for name, nanoseconds in cpu_by_part.items()],
    )


async def _load(database: Database, club: BenchClub, path: Path) -> None:
    read: Any = partial(inspect_file(path, FileFormat.NDJSON).rows, catalog.columns_of("transactions"))
    options = LoadOptions(batch_rows=BATCH_ROWS)
    summary = await loading.load_and_finish(
        database, GroupCommitter(database, 5_000), club.id, "transactions", read, options
    )
    assert not summary.rejected, summary.rejections[:3]


def _table(meter: StageMeter, rows: int, title: str, findings: Findings) -> None:
    def microseconds(nanoseconds: int) -> str:
        return format_number(nanoseconds / 1000 / rows)

    costs = [(stage, meter.costs[stage]) for stage in STAGES]
    lines = [
        (stage, microseconds(cost.client), microseconds(cost.database), microseconds(cost.time))
        for stage, cost in costs
    ]
    total = [microseconds(sum(getattr(cost, kind) for _, cost in costs)) for kind in ("client", "database", "time")]
    findings.add_table(title, ("stage", "CPU here", "CPU of PostgreSQL", "time"), [*lines, ("in all", *total)])
