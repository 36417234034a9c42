"""Exports of members: every format, against pages of the query written row by row, and against plain COPY."""

import csv
import os
import random
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench import load_generator, processes
from bench.environment import ZONE, BenchClub, BenchDatabase, BenchEnvironment, fetch_one
from bench.history import used_by
from bench.load_generator import Load
from bench.requests import profile_id, request
from bench.result import Findings
from bench.seed_data import seed_profiles, sql
from bench.serving import RunningServer, serve
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
PAGED = "pages of 10,000, csv of Python"
COPIED = "plain COPY of the table, nothing derived"
LEAST = {ExportFormat.CSV: 200_000, ExportFormat.PARQUET: 200_000, ExportFormat.XLSX: 30_000}
MOST_MIB = 200
MOST_BESIDE = 20
RATE = 200
CONNECTIONS = 16
_TIMES = 10
"""Memory is measured by so many times as many members."""

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
    ways: dict[str, Callable[[], object]] = {
        each.code: partial(_exported, store, club, each, folder / f"members{each.extension}") for each in ExportFormat
    }
    ways[PAGED] = partial(_paged, store, club, folder / "pages.csv")
    ways[COPIED] = partial(_copied, store, club, folder / "copied.csv")
    rates: dict[str, list[float]] = {name: [] for name in ways}
    database: dict[str, list[float]] = {name: [] for name in ways}
    both: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(size.rounds(ROUNDS)):
        for name, work in ways.items():
            use = used_by(environment, work)
            rates[name].append(members / use.here)
            database[name].append(1e6 * use.database / members)
            both[name].append(members / (use.here + use.database))
    shown = {name: findings.record(name, samples, "rows/s of its CPU") for name, samples in rates.items()}
    for name, samples in database.items():
        findings.record(f"{name}: CPU of PostgreSQL", samples, "µs a row")
    for name, samples in both.items():
        findings.record(f"{name}: of all CPU", samples, "rows/s")
    for file_format, least in LEAST.items():
        claim = f"Members to {file_format.code}: {least:,} rows/s of one core's CPU"
        findings.target_at_least(claim, shown[file_format.code], least, "rows/s")
    findings.record("csv, times the rate of pages", shown["csv"] / shown[PAGED], "")
    _beside(environment, store, club, members, size, findings)
    _memory(store, club, members, findings)


# Requests beside an export --------------------------------------------------------------------------------


def _beside(
    environment: BenchEnvironment, store: BenchDatabase, club: BenchClub, members: int, size: Size, findings: Findings
) -> None:
    """What a request costs a server that exports at the same time: all of its CPU, less that of an export alone."""
    seconds = size.seconds(30)
    findings.describe(
        f"Beside an export: reads of random profiles at {RATE} a second for {seconds:g} s, alone and while the same process "
        f"exports the members to CSV. The CPU of an export alone is subtracted."
    )
    costs_alone: list[float] = []
    costs_beside: list[float] = []
    slow: dict[str, list[float]] = {"alone": [], "beside an export": []}
    with serve(environment, store, 1, data_dir=str(environment.folder / "served")) as served:
        _read(served, club, members, seconds / 10)
        _await_export(served, club, _request_export(served, club))
        for _ in range(size.rounds(ROUNDS)):
            used, load = _read(served, club, members, seconds)
            costs_alone.append(1e6 * used / load.responses)
            slow["alone"].append(load.percentile(99))
            before = served.cpu_seconds()
            _await_export(served, club, _request_export(served, club))
            of_export = served.cpu_seconds() - before
            export_id, before = _request_export(served, club), served.cpu_seconds()
            _, load = _read(served, club, members, seconds)
            _await_export(served, club, export_id)
            costs_beside.append(1e6 * (served.cpu_seconds() - before - of_export) / load.responses)
            slow["beside an export"].append(load.percentile(99))
    read_alone = findings.record("a read, alone: CPU of the server", costs_alone, "µs")
    read_beside = findings.record("a read beside an export: CPU of the server", costs_beside, "µs")
    for name, values in slow.items():
        findings.record(f"a read, {name}: p99", values, "ms")
    claim = f"A request beside a running export: at most {MOST_BESIDE} percent more CPU"
    findings.target_at_most(claim, 100 * (read_beside / read_alone - 1), MOST_BESIDE, "percent")


def _read(served: RunningServer, club: BenchClub, members: int, seconds: float) -> tuple[float, Load]:
    """Reads random profiles at a fixed rate; returns the CPU seconds of the server."""
    chance = random.Random(1)
    requests = (
        request(club, "GET", f"/api/v3/profiles/{profile_id(club, chance.randint(1, members))}")
        for _ in range(int(RATE * seconds) + CONNECTIONS)
    )
    before = served.cpu_seconds()
    load = load_generator.open_loop(served.port, requests, CONNECTIONS, seconds, RATE).require(200)
    return served.cpu_seconds() - before, load


def _request_export(served: RunningServer, club: BenchClub) -> str:
    answer = _call(served, club, "query/export", {"report": "members", "format": "csv"})
    return str(answer["export"]["id"])


def _await_export(served: RunningServer, club: BenchClub, export_id: str) -> None:
    while (status := _call(served, club, f"exports/{export_id}")["export"]["status"]) != "done":
        assert status in ("queued", "running"), status
        time.sleep(0.5)


def _call(served: RunningServer, club: BenchClub, path: str, body: object = None) -> dict[str, Any]:
    call = urllib.request.Request(
        f"http://127.0.0.1:{served.port}/v1/reporting/{path}",
        None if body is None else msgspec.json.encode(body),
        {
            "Authorization": f"Bearer {club.reporting_token}",
            "X-Loyalty-Club-Slug": "exports",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310 - of this machine
        answer: dict[str, Any] = msgspec.json.decode(response.read())
        return answer


# Memory ---------------------------------------------------------------------------------------------------


def _memory(store: BenchDatabase, club: BenchClub, members: int, findings: Findings) -> None:
    """How much memory an export adds to the process, which must not depend on the number of rows."""
    with store.owner_connection() as connection:
        columns = fetch_one(connection, _COLUMNS)[0]
        changed = {"profile_id": "gen_random_uuid()", "member_id": "m.member_id + n * 100000000"}
        copied = ", ".join(changed.get(each, f"m.{each}") for each in columns)
        connection.execute(
            f"INSERT INTO members ({', '.join(columns)}) "
            f"SELECT {copied} FROM members AS m CROSS JOIN generate_series(1, {_TIMES - 1}) AS n".encode()
        )
    store.vacuum("members")
    for file_format in LEAST:
        before = _resident()
        with _Watch() as watch:
            summary = _exported(store, club, file_format, Path("/dev/null"))
        assert summary.rows == members * _TIMES
        name = f"{file_format.code}, {summary.rows:,} rows: memory added"
        added = findings.record(name, watch.highest - before, "MiB")
        claim = f"Memory of an export of {summary.rows:,} members to {file_format.code}: under {MOST_MIB} MB"
        findings.target_at_most(claim, added, MOST_MIB, "MiB")


def _resident() -> float:
    return processes.resident_mib([os.getpid()])[0]


class _Watch:
    """Looks at the memory of this process twenty times a second."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.highest = 0.0

    def _look(self) -> None:
        while not self._done.wait(0.05):
            self.highest = max(self.highest, _resident())

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()
        self.highest = max(self.highest, _resident())


# Ways ---------------------------------------------------------------------------------------------------------


def _exported(store: BenchDatabase, club: BenchClub, file_format: ExportFormat, path: Path) -> ExportSummary:
    async def export() -> ExportSummary:
        query = parse_whole_query({"report": "members"}, REPORTS_BY_NAME, ErrorCollector())
        async with Database(store.app_url, 2) as database:
            with path.open("wb", buffering=0) as file:
                return await write_export(
                    query, [_tenant(club)], Backends(database), file_format, file, now=database.clock()
                )

    return uvloop.run(export())


def _paged(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    """What a client does without exports: all pages, row by row, without HTTP."""

    async def read() -> None:
        async with Database(store.app_url, 2) as database:
            backends, cursor = Backends(database, ReplicaCache(_REPLICA_MB)), None
            with path.open("w", newline="") as file:
                writer = csv.writer(file)
                while True:
                    body = {"report": "members", "limit": MAX_LIMIT, "page_info": cursor}
                    query = parse_query(msgspec.json.encode(body), REPORTS_BY_NAME)
                    answer = await execute(query, [_tenant(club)], backends, database.clock())
                    if cursor is None:
                        writer.writerow(answer["records"][0])
                    writer.writerows([cell_text(value) for value in row.values()] for row in answer["records"])
                    cursor = answer["pagination"]["next_page_info"]
                    if cursor is None:
                        return

    uvloop.run(read())


def _copied(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    statement = f"COPY ({_COPY}) TO STDOUT (FORMAT csv, HEADER)".encode()
    with (
        path.open("wb") as file,
        store.app_connection(club) as connection,
        connection.cursor().copy(statement) as copied,
    ):
        for chunk in copied:
            file.write(chunk)


def _tenant(club: BenchClub) -> Tenant:
    return Tenant(club.id, club.id, 1, 1, "exports", "Exports", ZONE, "NOK", 2, {})
