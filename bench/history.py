"""Years of history from Parquet: as `regulars load` takes it, batch by batch, and as plain COPY takes the same rows."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import psycopg

from bench import processes
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one, wait_for_autovacuum
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

COPIED = "plain COPY, without values"
LOADED = "regulars load, with values"
BATCHED = "batch by batch, with values"

Load = Callable[[BenchDatabase, BenchClub, Path], Coroutine[None, None, None]]

ROUNDS = 3
LEAST = 5_000
MOST_OF_COPY = 3

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
    seconds: dict[str, list[float]] = {name: [] for name in (COPIED, LOADED, BATCHED)}
    costs: list[tuple[str, str, str]] = []
    differing = 0
    for round_ in range(size.rounds(ROUNDS)):
        for name, load in ((LOADED, _by_columns), (BATCHED, _by_batches)):
            with _store(environment, profiles) as (store, club):
                used = used_by(environment, partial(_run, load, store, club, path))
                seconds[name].append(used.seconds)
                costs += [used.shown(name, rows)] if not round_ else []
                if name == LOADED:
                    differing += asyncio.run(_differences(store, club))
                    used = _copied(environment, store, rows)
                    seconds[COPIED].append(used.seconds)
                    costs += [used.shown(COPIED, rows)] if not round_ else []
    rates = {
        name: findings.record(name, [rows / each for each in times], "transactions/s")
        for name, times in seconds.items()
    }
    findings.add_table("Microseconds of CPU a transaction", ("way", "this process", "PostgreSQL"), costs)
    mine = rates[LOADED]
    findings.target_at_least(f"History: at least {LEAST:,} transactions/s, durable and fresh", mine, LEAST)
    findings.target_at_most(
        f"History: at most {MOST_OF_COPY} times the time of plain COPY, values included",
        rates[COPIED] / mine,
        MOST_OF_COPY,
    )
    findings.target_at_least("History: faster than batch by batch, times", mine / rates[BATCHED], 1)
    findings.target("History: verify finds no difference", f"{differing} differences", not differing)


@dataclass(frozen=True)
class Use:
    """What a way took: seconds, and CPU seconds of this process and of PostgreSQL."""

    seconds: float
    here: float
    database: float

    def shown(self, name: str, rows: int) -> tuple[str, str, str]:
        """CPU as a row of a table."""
        return name, format_number(1e6 * self.here / rows), format_number(1e6 * self.database / rows)


def used_by(environment: BenchEnvironment, work: Callable[[], object]) -> Use:
    before = time.perf_counter(), time.process_time(), processes.cpu_seconds(environment.postmaster_pid)
    work()
    return Use(
        time.perf_counter() - before[0],
        time.process_time() - before[1],
        processes.cpu_seconds(environment.postmaster_pid) - before[2],
    )


@contextmanager
def _store(environment: BenchEnvironment, profiles: int) -> Iterator[tuple[BenchDatabase, BenchClub]]:
    """A store with profiles and stores, and nothing bought."""
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


def _run(load: Load, store: BenchDatabase, club: BenchClub, path: Path) -> None:
    asyncio.run(load(store, club, path))


async def _by_columns(store: BenchDatabase, club: BenchClub, path: Path) -> None:
    await _load(store, club, path, by_columns=True)


async def _by_batches(store: BenchDatabase, club: BenchClub, path: Path) -> None:
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


async def _differences(store: BenchDatabase, club: BenchClub) -> int:
    async with Database(store.app_url, 1) as database:
        purchases = [
            each async for each in verify(database, club.id) if getattr(each, "name", "") not in ("", *_NOT_SEEDED)
        ]
    return len(purchases)


def _copied(environment: BenchEnvironment, store: BenchDatabase, rows: int) -> Use:
    path = environment.folder / "sales.csv"
    with store.owner_connection() as connection:
        with path.open("wb") as file, connection.cursor().copy("COPY transactions TO STDOUT (FORMAT csv)") as copy:
            for piece in copy:
                file.write(piece)
        connection.execute("CREATE TABLE plain (LIKE transactions INCLUDING ALL)")

        def work() -> None:
            with path.open("rb") as file, connection.cursor().copy("COPY plain FROM STDIN (FORMAT csv)") as copy:
                while piece := file.read(1 << 20):
                    copy.write(piece)

        used = used_by(environment, work)
        assert fetch_one(connection, "SELECT count(*) FROM plain")[0] == rows
    return used
