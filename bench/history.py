"""Years of history from Parquet: by `regulars load`, batch by batch, and by plain COPY of the same rows."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import psycopg

from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one, wait_for_autovacuum
from bench.processes import ResourceUsage, measure_usage
from bench.result import Findings, format_number
from bench.seed_data import LOCATIONS, VARIANTS, sql
from bench.size import Size
from regulars.ingest.group_commit import GroupCommitter
from regulars.loading import catalog, load_job
from regulars.loading.batches import LoadOptions
from regulars.loading.loader import load_and_finish
from regulars.loading.readers import files
from regulars.storage.database import Database
from regulars.verify.verify import verify

PLAIN_COPY = "plain COPY, without values"
REGULARS_LOAD = "regulars load, with values"
BATCH_BY_BATCH = "batch by batch, with values"

LoadFunction = Callable[[BenchDatabase, BenchClub, Path], Coroutine[None, None, None]]

ROUNDS = 3
MIN_TRANSACTIONS_PER_SECOND = 5_000
MAX_COPY_RATIO = 3

# No write of the product creates the seeded profiles: they have no groups, and no row of values before a transaction.
_NOT_SEEDED = ("aggregations", "groups")

# Of random profiles, each in three stores of its own, over three years in the order of time; one in twenty a return.
_SALES = """
COPY (
    SELECT 'T' || n AS external_id, 'C' || (1 + hash(n) % {profiles}) AS profile,
           TIMESTAMP '2023-11-01 08:00:00' + to_seconds(CAST(n AS BIGINT) * 94000000 // {rows}) AS transacted_at,
           'Europe/Oslo' AS timezone,
           CAST((1000 + hash(n + 7) % 65535) * CASE WHEN n % 20 = 0 THEN -1 ELSE 1 END / 100 AS DECIMAL(12, 2))
               AS total,
           CAST(1 + (hash(n) % {profiles} * 7 + n % 3) % {locations} AS VARCHAR) AS location,
           [CASE WHEN n % 5 = 0 THEN 'web' ELSE 'pos' END] AS systems, 'R' || n AS receipt_ref
    FROM range({rows}) AS sale (n)
) TO '{path}' (FORMAT parquet)
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """2 million transactions of 200,000 profiles that bought nothing before."""
    profiles, rows = size.rows(200_000, 500), size.rows(2_000_000, 5_000)
    path = environment.folder / "sales.parquet"
    duckdb.sql(_SALES.format(profiles=profiles, rows=rows, locations=LOCATIONS, path=path))
    findings.describe(
        f"A Parquet file of {rows:,} transactions without lines, over three years, of {profiles:,} profiles that are "
        f"there and bought nothing before. All ways take the same file, in turns, each time into an empty store; the "
        f"time is until all is durable and, but for COPY, every value of every profile is written."
    )
    findings.describe(
        "regulars load: plain rows by columns, profiles marked dirty, values computed by DuckDB at the end. Batch by batch: "
        "the same rows as Python objects, each batch of 5,000 with the refresh of its profiles. Plain COPY: the rows "
        "that the load has made, as CSV, by the owner into a table of the same columns and indexes without row-level "
        "security."
    )
    seconds: dict[str, list[float]] = {name: [] for name in (PLAIN_COPY, REGULARS_LOAD, BATCH_BY_BATCH)}
    costs: list[tuple[str, str, str]] = []
    differences = 0
    for round_number in range(size.rounds(ROUNDS)):
        for name, load in ((REGULARS_LOAD, _load_by_columns), (BATCH_BY_BATCH, _load_by_batches)):
            with _open_store(environment, profiles) as (store, club):
                usage = measure_usage(environment.postmaster_pid, partial(_run, load, store, club, path))
                seconds[name].append(usage.seconds)
                costs += [_cpu_row(name, usage, rows)] if not round_number else []
                if name == REGULARS_LOAD:
                    differences += asyncio.run(_count_differences(store, club))
                    usage = _copy_baseline(environment, store, rows)
                    seconds[PLAIN_COPY].append(usage.seconds)
                    costs += [_cpu_row(PLAIN_COPY, usage, rows)] if not round_number else []
    rates = {
        name: findings.record(name, [rows / each for each in times], "transactions/s")
        for name, times in seconds.items()
    }
    findings.add_table("Microseconds of CPU a transaction", ("way", "this process", "PostgreSQL"), costs)
    rate = rates[REGULARS_LOAD]
    findings.target_at_least(
        f"History: at least {MIN_TRANSACTIONS_PER_SECOND:,} transactions/s, durable and fresh",
        rate,
        MIN_TRANSACTIONS_PER_SECOND,
    )
    findings.target_at_most(
        f"History: at most {MAX_COPY_RATIO} times the time of plain COPY, values included",
        rates[PLAIN_COPY] / rate,
        MAX_COPY_RATIO,
    )
    findings.target_at_least("History: faster than batch by batch, times", rate / rates[BATCH_BY_BATCH], 1)
    findings.target("History: verify finds no difference", f"{differences} differences", not differences)


def _cpu_row(name: str, usage: ResourceUsage, rows: int) -> tuple[str, str, str]:
    """Microseconds of CPU a transaction, as a row of a table."""
    client, database = (1e6 * each / rows for each in (usage.client_cpu_seconds, usage.database_cpu_seconds))
    return name, format_number(client), format_number(database)


@contextmanager
def _open_store(environment: BenchEnvironment, profiles: int) -> Iterator[tuple[BenchDatabase, BenchClub]]:
    """A database with profiles and locations, without transactions; dropped at the end."""
    store = environment.database("history")
    club = store.create_club("history")
    with store.owner_connection() as connection, psycopg.RawCursor(connection) as cursor:
        cursor.execute(b"SELECT set_config('regulars.community_id', $1, false)", (str(club.id),))
        cursor.execute(sql("fill_catalogue").encode(), (club.id, LOCATIONS, VARIANTS))
        cursor.execute(sql("fill_profiles").encode(), (club.id, profiles, LOCATIONS))
        # Half of them say one country and are filed under another, which verify would report.
        connection.execute("DELETE FROM addresses")
    store.vacuum("locations", "profiles")
    with store.owner_connection() as connection:
        wait_for_autovacuum(connection)
    yield store, club
    with psycopg.connect(environment.owner_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE history WITH (FORCE)")


def _run(load: LoadFunction, store: BenchDatabase, club: BenchClub, path: Path) -> None:
    asyncio.run(load(store, club, path))


async def _load_by_columns(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    await _load(store, club, path, by_columns=True)


async def _load_by_batches(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    refreshed, load_job.EAGER_REFRESH_ROWS = load_job.EAGER_REFRESH_ROWS, 2**62
    try:
        await _load(store, club, path, by_columns=False)
    finally:
        load_job.EAGER_REFRESH_ROWS = refreshed


async def _load(store: BenchDatabase, club: BenchClub, path: Path, *, by_columns: bool) -> None:
    source = files.inspect_file(path)
    read = partial(source.rows, catalog.columns_of("transactions"))
    async with Database(store.app_url, 8) as database:
        committers = GroupCommitter(database, 5_000)
        summary = await load_and_finish(
            database, committers, club.id, "transactions", read, LoadOptions(), source if by_columns else None
        )
    assert not summary.rejected, summary.rejections[:3]


async def _count_differences(store: BenchDatabase, club: BenchClub) -> int:
    async with Database(store.app_url, 1) as database:
        differences = [
            each async for each in verify(database, club.id) if getattr(each, "name", "") not in ("", *_NOT_SEEDED)
        ]
    return len(differences)


def _copy_baseline(environment: BenchEnvironment, store: BenchDatabase, rows: int) -> ResourceUsage:
    path = environment.folder / "sales.csv"
    with store.owner_connection() as connection:
        with path.open("wb") as file, connection.cursor().copy("COPY transactions TO STDOUT (FORMAT csv)") as copy:
            for chunk in copy:
                file.write(chunk)
        connection.execute("CREATE TABLE plain (LIKE transactions INCLUDING ALL)")

        def copy_rows() -> None:
            with path.open("rb") as file, connection.cursor().copy("COPY plain FROM STDIN (FORMAT csv)") as copy:
                while chunk := file.read(1 << 20):
                    copy.write(chunk)

        usage = measure_usage(environment.postmaster_pid, copy_rows)
        assert fetch_one(connection, "SELECT count(*) FROM plain")[0] == rows
    return usage
