"""Members of years from a file: by `regulars load`, batch by batch, and by plain COPY of the same rows."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import psycopg

from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one
from bench.processes import measure_usage
from bench.result import Findings
from bench.size import Size
from regulars.ingest.group_commit import GroupCommitter
from regulars.loading import catalog, load_job
from regulars.loading.loader import load_and_finish
from regulars.loading.readers import files
from regulars.rollups import compaction, partitions
from regulars.storage.database import Database

PLAIN_COPY = "plain COPY, nothing derived"
REGULARS_LOAD = "regulars load, all reports true"
BATCH_BY_BATCH = "batch by batch, all reports true"

TABLES = ("profiles", "memberships")
ROUNDS = 3
MIN_CPU_RATIO = 3
MONTHS = 96
_FIRST_JOIN = datetime.fromisoformat("2018-11-01T00:00:00")

# Sums over all rollups of members, which must not depend on the way of loading.
_SUMS = """
SELECT
    (SELECT sum(members_count) FROM group_counts),
    (SELECT sum(delta * extract(epoch FROM bucket)) FROM group_rollups),
    (SELECT sum(count * extract(epoch FROM bucket)) FROM balance_rollups),
    (SELECT sum(delta * extract(epoch FROM bucket)) FROM snapshot_rollups),
    (SELECT sum(members_count) FROM snapshot_counts)
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """200,000 profiles that joined over eight years, each with a dozen groups."""
    rows = size.rows(200_000, 500)
    path = environment.folder / "members.ndjson"
    path.write_bytes(b"".join(_lines(rows)))
    findings.describe(
        f"A file of {rows:,} profiles that joined over {MONTHS // 12} years, in the order of time, each with a dozen "
        f"groups and nearly each unlike all others in the balance and in snapshots. All ways take the same members, in "
        f"turns, each time into an empty store; the time is until all is durable and, but for COPY, every report of "
        f"members is true, snapshots of the past and values included."
    )
    findings.describe(
        "regulars load: 25,000 rows a commit, what they change of counts, rollups and snapshots added up by DuckDB. "
        "Batch by batch: 5,000 rows a commit, deltas appended and compacted, snapshots recounted. Plain COPY: the "
        "rows of profiles and memberships that the load has made, as CSV, by the owner into tables of the same columns "
        "and indexes without row-level security."
    )
    rates: dict[str, list[float]] = {name: [] for name in (PLAIN_COPY, REGULARS_LOAD, BATCH_BY_BATCH)}
    cpu: dict[str, list[float]] = {name: [] for name in rates}
    sums: set[tuple[object, ...]] = set()

    def measure(name: str, work: Callable[[], object]) -> None:
        usage = measure_usage(environment.postmaster_pid, work)
        rates[name].append(rows / usage.seconds)
        cpu[name].append(1e6 * usage.cpu_seconds / rows)

    for _ in range(size.rounds(ROUNDS)):
        for name, large in ((REGULARS_LOAD, True), (BATCH_BY_BATCH, False)):
            store = environment.database("members")
            club = store.create_club("members")
            measure(name, partial(_run, store, club, path, large=large))
            with store.owner_connection() as connection:
                sums.add(fetch_one(connection, _SUMS))
            if large:
                csv_files = _write_files(environment, store)
                measure(PLAIN_COPY, partial(_copy_baseline, store, csv_files))
            with psycopg.connect(environment.owner_url, autocommit=True) as connection:
                connection.execute("DROP DATABASE members WITH (FORCE)")
    for name, values in rates.items():
        findings.record(name, values, "members/s")
    cpu_medians = {
        name: findings.record(f"{name}: CPU of all processes", values, "µs a member") for name, values in cpu.items()
    }
    findings.record(
        "CPU of regulars load, times that of plain COPY", cpu_medians[REGULARS_LOAD] / cpu_medians[PLAIN_COPY], ""
    )
    findings.target_at_least(
        f"Members: a load costs {MIN_CPU_RATIO} times less CPU than batch by batch",
        cpu_medians[BATCH_BY_BATCH] / cpu_medians[REGULARS_LOAD],
        MIN_CPU_RATIO,
        "times",
    )
    measured = "equal" if len(sums) == 1 else f"{len(sums)} different results"
    findings.target("Members: both ways store the same numbers", measured, len(sums) == 1)


def _lines(rows: int) -> list[bytes]:
    generator = random.Random(1)
    interval = timedelta(days=MONTHS * 30) / rows
    return [
        msgspec.json.encode(_member(generator, number, _FIRST_JOIN + number * interval)) + b"\n"
        for number in range(rows)
    ]


def _member(generator: random.Random, number: int, joined_at: datetime) -> dict[str, object]:
    return {
        "external_id": f"J{number:09}",
        "first_name": f"First{number % 1000}",
        "last_name": f"Last{number % 5000}",
        "email": f"j{number}@example.com",
        "mobile_phone": f"+479{number:07}",
        "gender": generator.choice(("female", "male", "other")),
        "birth_year": generator.randint(1940, 2008),
        "birth_month": generator.randint(1, 12),
        "birth_day": generator.randint(1, 28),
        "joined_at": joined_at.isoformat() + "Z",
        "optin_channel": generator.choice(("ios app", "android app", "web", "pos")),
        "optin_subchannel": f"store {generator.randrange(40)}",
        "consents": {name: generator.random() < 0.6 for name in ("email_marketing", "sms_marketing", "profiling")},
        "subunit_ids": [generator.randint(1, 50)],
    }


def _run(store: BenchDatabase, club: BenchClub, path: Path, *, large: bool) -> None:
    refreshed, load_job.EAGER_REFRESH_ROWS = load_job.EAGER_REFRESH_ROWS, 0 if large else 2**62
    try:
        asyncio.run(_load(store, club, path))
    finally:
        load_job.EAGER_REFRESH_ROWS = refreshed


async def _load(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    read = partial(files.inspect_file(path).rows, catalog.columns_of("profiles"))
    async with Database(store.app_url, 4) as database:
        await partitions.ensure(database)
        summary = await load_and_finish(database, GroupCommitter(database, 5_000), club.id, "profiles", read)
        await compaction.compact(database, club.id)
    assert not summary.rejected, summary.rejections[:3]


def _write_files(environment: BenchEnvironment, store: BenchDatabase) -> dict[str, Path]:
    paths = {table: environment.folder / f"{table}.csv" for table in TABLES}
    with store.owner_connection() as connection:
        for table, path in paths.items():
            columns = ", ".join(_columns(store, table))
            statement = f"COPY {table} ({columns}) TO STDOUT (FORMAT csv)"
            with path.open("wb") as file, connection.cursor().copy(statement.encode()) as copy:
                for chunk in copy:
                    file.write(chunk)
            connection.execute(f"CREATE TABLE plain_{table} (LIKE {table} INCLUDING ALL)".encode())
    return paths


def _columns(store: BenchDatabase, table: str) -> list[str]:
    """Columns that are inserted; others are generated."""
    with store.owner_connection() as connection:
        rows = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attgenerated = ''"
            " AND NOT attisdropped ORDER BY attnum",
            [table],
        ).fetchall()
    return [name for (name,) in rows]


def _copy_baseline(store: BenchDatabase, csv_files: dict[str, Path]) -> None:
    with store.owner_connection() as connection:
        for table, path in csv_files.items():
            statement = f"COPY plain_{table} ({', '.join(_columns(store, table))}) FROM STDIN (FORMAT csv)"
            with path.open("rb") as file, connection.cursor().copy(statement.encode()) as copy:
                while chunk := file.read(1 << 20):
                    copy.write(chunk)
