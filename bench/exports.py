"""Exports of members: every format, against pages of the query written row by row, and against plain COPY."""

import csv
import os
import random
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench import load_generator, processes
from bench.environment import ZONE, BenchClub, BenchDatabase, BenchEnvironment, fetch_one
from bench.load_generator import Load
from bench.processes import measure_usage
from bench.requests import profile_id, request
from bench.result import Findings
from bench.seed_data import seed_profiles, sql
from bench.serving import UNLIMITED_REPORTS, RunningServer, serve
from bench.size import Size
from regulars.auth.tenants import Tenant
from regulars.exports.export import ExportSummary, write_export
from regulars.exports.formats import ExportFormat
from regulars.query.backends import Backends
from regulars.query.errors import ErrorCollector
from regulars.query.execute import execute
from regulars.query.formats.tabular import cell_text
from regulars.query.parser.request import MAX_LIMIT, parse_query, parse_whole_query
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.storage.database import Database

ROUNDS = 3
PAGES = "pages of 10,000, csv of Python"
PLAIN_COPY = "plain COPY of the table, nothing derived"
MIN_ROWS_PER_SECOND = {ExportFormat.CSV: 200_000, ExportFormat.PARQUET: 200_000, ExportFormat.XLSX: 30_000}
MAX_MIB = 200
MAX_P99_RATIO = 5
RATE = 200
CONNECTIONS = 16
POLL_SECONDS = 0.25
_MEMORY_FACTOR = 10
"""Memory is measured with this many times as many members."""

_REPLICA_MB = 2_000

_COLUMNS = """
SELECT array_agg(attname::text)
FROM pg_attribute
WHERE attrelid = 'members'::regclass AND attnum > 0 AND NOT attisdropped
"""

_COPY = """
SELECT member_id, optin_channel, optin_subchannel, optin_platform, gender, birth_date, subunit_ids, group_ids,
       favorite_stores, properties, consents_true, consents_false, marketing, sms_status, email_status, push_status,
       country, created_at, updated_at
FROM members
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """The report members, whole."""
    members = size.rows(1_000_000, 2_000)
    findings.describe(
        f"The report members over {members:,} members, each with lists, consents and properties: 25 columns. All ways "
        f"take turns and write to a file. Rates are rows per second of CPU of the exporting process; PostgreSQL's CPU is "
        f"beside them, and both together are the last figure of each way."
    )
    store = environment.database()
    club = store.create_club("exports")
    seed_profiles(store, club, members)
    with store.owner_connection() as connection:
        connection.execute(sql("fill_members").replace("$1", str(club.id)).encode())
    store.vacuum("members")
    folder = environment.folder / "exports"
    folder.mkdir()
    contenders: dict[str, Callable[[], object]] = {
        each.code: partial(_write_export, store, club, each, folder / f"members{each.extension}")
        for each in ExportFormat
    }
    contenders[PAGES] = partial(_write_pages, store, club, folder / "pages.csv")
    contenders[PLAIN_COPY] = partial(_copy_baseline, store, club, folder / "copied.csv")
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    database_cpu: dict[str, list[float]] = {name: [] for name in contenders}
    all_cpu_rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(size.rounds(ROUNDS)):
        for name, work in contenders.items():
            usage = measure_usage(environment.postmaster_pid, work)
            rates[name].append(members / usage.client_cpu_seconds)
            database_cpu[name].append(1e6 * usage.database_cpu_seconds / members)
            all_cpu_rates[name].append(members / usage.cpu_seconds)
    medians = {name: findings.record(name, samples, "rows/s of its CPU") for name, samples in rates.items()}
    for name, samples in database_cpu.items():
        findings.record(f"{name}: CPU of PostgreSQL", samples, "µs a row")
    for name, samples in all_cpu_rates.items():
        findings.record(f"{name}: of all CPU", samples, "rows/s")
    for file_format, least in MIN_ROWS_PER_SECOND.items():
        claim = f"Members to {file_format.code}: {least:,} rows/s of one core's CPU"
        findings.target_at_least(claim, medians[file_format.code], least, "rows/s")
    findings.record("csv, times the rate of pages", medians["csv"] / medians[PAGES], "")
    _measure_reads_beside_exports(environment, store, club, members, size, findings)
    _measure_memory(store, club, members, findings)


# Requests beside an export --------------------------------------------------------------------------------


def _measure_reads_beside_exports(
    environment: BenchEnvironment, store: BenchDatabase, club: BenchClub, members: int, size: Size, findings: Findings
) -> None:
    """What a client of the server notices of exports that run in the same process: the latency of its reads."""
    seconds = size.seconds(30)
    findings.describe(
        f"Beside an export: reads of random profiles at {RATE} a second for {seconds:g} s, alone and while the same process "
        f"exports the members to CSV, one export after the other until the last read; the two take turns. The latency of "
        f"a read starts at the instant at which it is due. The target compares the p99 of each round beside exports with "
        f"that of the round alone before it."
    )
    loads_alone: list[Load] = []
    loads_beside: list[Load] = []
    cpu_alone: list[float] = []
    data_dir = str(environment.folder / "served")
    with serve(environment, store, 1, data_dir=data_dir, **UNLIMITED_REPORTS) as server:
        _read(server, club, members, seconds / 10)
        _export(server, club)
        for _ in range(size.rounds(ROUNDS)):
            before = server.cpu_seconds()
            loads_alone.append(_read(server, club, members, seconds))
            cpu_alone.append(1e6 * (server.cpu_seconds() - before) / loads_alone[-1].responses)
            with _exporting(server, club):
                loads_beside.append(_read(server, club, members, seconds))
    findings.record("a read, alone: CPU of the server", cpu_alone, "µs")
    for name, loads in (("alone", loads_alone), ("beside an export", loads_beside)):
        for percent in (50, 99):
            findings.record(f"a read, {name}: p{percent}", [each.percentile(percent) for each in loads], "ms")
    ratios = [one.percentile(99) / other.percentile(99) for one, other in zip(loads_beside, loads_alone, strict=True)]
    ratio = findings.record("a read, beside an export / alone: p99", ratios, "")
    findings.target_at_most(
        f"A read beside a running export: p99 at most {MAX_P99_RATIO} times that of reads alone in the same run",
        ratio,
        MAX_P99_RATIO,
        "times",
    )


def _read(server: RunningServer, club: BenchClub, members: int, seconds: float) -> Load:
    """Reads random profiles at a fixed rate."""
    generator = random.Random(1)
    requests = (
        request(club, "GET", f"/api/v3/profiles/{profile_id(club, generator.randint(1, members))}")
        for _ in range(int(RATE * seconds) + CONNECTIONS)
    )
    return load_generator.open_loop(server.port, requests, CONNECTIONS, seconds, RATE).require(200)


@contextmanager
def _exporting(server: RunningServer, club: BenchClub) -> Iterator[None]:
    """Exports the members during the block, one export after the other; the last one ends before the block does."""
    stopping = threading.Event()

    def export() -> None:
        while not stopping.is_set():
            _export(server, club)

    with ThreadPoolExecutor(1) as pool:
        exports = pool.submit(export)
        try:
            yield
        finally:
            stopping.set()
        exports.result()


def _export(server: RunningServer, club: BenchClub) -> None:
    """Has the server export the members to CSV, waits for the end, and deletes the file."""
    response = _call(server, club, "POST", "query/export", {"report": "members", "format": "csv"})
    export = f"exports/{response['export']['id']}"
    while (status := _call(server, club, "GET", export)["export"]["status"]) != "done":
        assert status in ("queued", "running"), status
        time.sleep(POLL_SECONDS)
    _call(server, club, "DELETE", export)


def _call(server: RunningServer, club: BenchClub, method: str, path: str, body: object = None) -> dict[str, Any]:
    call = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v1/reporting/{path}",
        None if body is None else msgspec.json.encode(body),
        {
            "Authorization": f"Bearer {club.reporting_token}",
            "X-Loyalty-Club-Slug": "exports",
            "Content-Type": "application/json",
        },
        method=method,
    )
    with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310 - of this machine
        content: dict[str, Any] = msgspec.json.decode(response.read())
        return content


# Memory ---------------------------------------------------------------------------------------------------


def _measure_memory(store: BenchDatabase, club: BenchClub, members: int, findings: Findings) -> None:
    """How much memory an export adds to the process, which must not depend on the number of rows."""
    with store.owner_connection() as connection:
        columns = fetch_one(connection, _COLUMNS)[0]
        changed = {"profile_id": "gen_random_uuid()", "member_id": "m.member_id + n * 100000000"}
        rows = ", ".join(changed.get(each, f"m.{each}") for each in columns)
        connection.execute(
            f"INSERT INTO members ({', '.join(columns)}) "
            f"SELECT {rows} FROM members AS m CROSS JOIN generate_series(1, {_MEMORY_FACTOR - 1}) AS n".encode()
        )
    store.vacuum("members")
    for file_format in MIN_ROWS_PER_SECOND:
        before = _resident()
        with _Watch() as watch:
            summary = _write_export(store, club, file_format, Path("/dev/null"))
        assert summary.rows == members * _MEMORY_FACTOR
        name = f"{file_format.code}, {summary.rows:,} rows: memory added"
        added = findings.record(name, watch.highest - before, "MiB")
        claim = f"Memory of an export of {summary.rows:,} members to {file_format.code}: under {MAX_MIB} MB"
        findings.target_at_most(claim, added, MAX_MIB, "MiB")


def _resident() -> float:
    return processes.resident_mib([os.getpid()])[0]


class _Watch:
    """Samples the memory of this process twenty times a second."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.highest = 0.0

    def _sample(self) -> None:
        while not self._done.wait(0.05):
            self.highest = max(self.highest, _resident())

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()
        self.highest = max(self.highest, _resident())


# Contenders ---------------------------------------------------------------------------------------------------------


def _write_export(store: BenchDatabase, club: BenchClub, file_format: ExportFormat, path: Path) -> ExportSummary:
    async def export() -> ExportSummary:
        query = parse_whole_query({"report": "members"}, REPORTS_BY_NAME, ErrorCollector())
        async with Database(store.app_url, 2) as database:
            with path.open("wb", buffering=0) as file:
                return await write_export(
                    query, [_tenant(club)], Backends(database), file_format, file, now=database.clock()
                )

    return uvloop.run(export())


def _write_pages(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    """What a client does without exports: all pages, row by row, without HTTP."""

    async def read() -> None:
        async with Database(store.app_url, 2) as database:
            backends, cursor = Backends(database, ReplicaCache(database, _REPLICA_MB)), None
            with path.open("w", newline="") as file:
                writer = csv.writer(file)
                while True:
                    body = {"report": "members", "limit": MAX_LIMIT, "page_info": cursor}
                    query = parse_query(msgspec.json.encode(body), REPORTS_BY_NAME)
                    response = await execute(query, [_tenant(club)], backends, database.clock())
                    if cursor is None:
                        writer.writerow(response["records"][0])
                    writer.writerows([cell_text(value) for value in row.values()] for row in response["records"])
                    cursor = response["pagination"]["next_page_info"]
                    if cursor is None:
                        return

    uvloop.run(read())


def _copy_baseline(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    statement = f"COPY ({_COPY}) TO STDOUT (FORMAT csv, HEADER)".encode()
    with (
        path.open("wb") as file,
        store.app_connection(club) as connection,
        connection.cursor().copy(statement) as rows,
    ):
        for chunk in rows:
            file.write(chunk)


def _tenant(club: BenchClub) -> Tenant:
    return Tenant(club.id, club.id, 1, 1, "exports", "Exports", ZONE, "NOK", 2, {})
