"""Members who join, in batches: counts, balance and values current in the same commit, with concurrent compaction."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import msgspec

from bench import postgres_cpu
from bench.environment import BenchDatabase, BenchEnvironment
from bench.latency import percentile
from bench.result import Findings, format_number
from bench.seed_data import LOCATIONS, VARIANTS, sql
from bench.size import Size
from bench.stages import StageMeter
from regulars.aggregations.table import refresh_statement
from regulars.facts import members
from regulars.facts.entities import PROFILE_SCHEMA
from regulars.ingest import commit as commits
from regulars.ingest.commit import commit
from regulars.jobs.scheduler import COMPACTION_INTERVAL_SECONDS
from regulars.loading.batches import analyze_if_grown
from regulars.model import community as communities
from regulars.model import memberships
from regulars.model.community import Community
from regulars.model.profiles import profiles
from regulars.rollups import compaction, partitions
from regulars.storage.database import Database

ROUNDS = 3
BATCH = 1_000
WRITERS = (1, 4, 8)
MIN_MEMBERS_PER_SECOND = 10_000
OPEN_SNAPSHOT_COMMITS = 15_000

STAGES = (
    "parse and check", "find and compare", "insert profiles", "insert memberships", "lock", "refresh", "derive",
    "commit, begin", "compaction",
)  # fmt: skip


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Rates, then writers beside a snapshot that is held, then the stages."""
    rows = size.rows(40_000, 2_000)
    findings.describe(
        f"Profiles with a first and a last name of a word each that are new to one community, each with a dozen groups "
        f"and nearly each unlike all others in the balance, in batches of {BATCH:,} by the product's own commit, as files "
        f"and the API have it; the writers are connections of one process, and compaction runs every "
        f"{COMPACTION_INTERVAL_SECONDS:g} s. The rate counts until all is durable, and the rest is compacted."
    )
    store = environment.database()
    asyncio.run(_measure_rates(environment, store, rows, size, findings))


async def _measure_rates(
    environment: BenchEnvironment, store: BenchDatabase, rows: int, size: Size, findings: Findings
) -> None:
    async with Database(store.app_url, 1) as database:
        await partitions.ensure(database)
    for writers in WRITERS:
        club = await asyncio.to_thread(store.create_club, f"joins-{writers}")
        with store.owner_connection() as connection:
            connection.execute(
                sql("fill_catalogue")
                .replace("$1", str(club.id))
                .replace("$2", str(LOCATIONS))
                .replace("$3", str(VARIANTS))
                .encode()
            )
        async with Database(store.app_url, writers + 2) as database:
            joins = await _MemberJoins.of(database, club.id)
            await _write(joins, writers, writers * BATCH)
            rates, in_process, in_postgresql, slowest = [], [], [], []
            for _ in range(size.rounds(ROUNDS)):
                before = time.process_time(), time.perf_counter()
                with postgres_cpu.measure(environment.postmaster_pid) as used:
                    async with _compactor(joins):
                        slowest.append(percentile(await _write(joins, writers, rows), 99))
                    await compaction.compact(database, club.id)
                rates.append(rows / (time.perf_counter() - before[1]))
                in_process.append(1e6 * (time.process_time() - before[0]) / rows)
                in_postgresql.append(used.per(rows))
        case = f"{writers} writer{'s' if writers > 1 else ''}"
        rate = findings.record(case, rates, "members/s")
        findings.record(f"{case}: a batch of {BATCH:,}, p99", slowest, "ms")
        findings.record(f"{case}: CPU of the process", in_process, "µs a member")
        postgres_cpu.record(findings, f"{case}: CPU of PostgreSQL, all its processes", in_postgresql, "µs a member")
        findings.target_at_least(
            f"Member joins, {case}: at least {MIN_MEMBERS_PER_SECOND:,}/s with all counts and rollups",
            rate,
            MIN_MEMBERS_PER_SECOND,
        )
    await _measure_open_snapshot(store, size, findings)
    await _measure_stages(store, rows, findings)


class _MemberJoins:
    """Generates members who join a community, each once, and writes them."""

    def __init__(self, database: Database, community: Community) -> None:
        self.database = database
        self.community = community
        self._generator = random.Random(community.id)
        self._number = 0

    @classmethod
    async def of(cls, database: Database, community_id: int) -> "_MemberJoins":
        """The members of a community by its id."""
        async with database.unscoped_connection() as connection:
            return cls(database, await communities.get_by_id(connection, community_id))

    def content(self) -> bytes:
        """The next member, as a line of a file."""
        generator = self._generator
        self._number += 1
        return msgspec.json.encode(
            {
                "external_id": f"J{self._number:09}",
                "first_name": f"First{self._number % 1000}",
                "last_name": f"Last{self._number % 5000}",
                "email": f"j{self._number}@example.com",
                "gender": generator.choice(("female", "male", "other")),
                "birth_year": generator.randint(1940, 2008),
                "birth_month": generator.randint(1, 12),
                "birth_day": generator.randint(1, 28),
                "optin_channel": generator.choice(("ios app", "android app", "web", "pos")),
                "optin_subchannel": f"store {generator.randrange(40)}",
                "consents": {
                    name: generator.random() < 0.6 for name in ("email_marketing", "sms_marketing", "profiling")
                },
                "subunit_ids": [generator.randint(1, 50)],
            }
        )

    def rows(self, number: int) -> list[Any]:
        """The next so many members, parsed."""
        return [PROFILE_SCHEMA.parse(self.content(), self.community) for _ in range(number)]

    async def write(self, rows: Sequence[Any]) -> float:
        """Writes rows in one commit; returns the milliseconds that it took."""
        began = time.perf_counter()
        outcomes = await commit(self.database, self.community.id, partial(profiles.upsert_many, rows=rows))
        assert set(outcomes) == {"accepted"}, outcomes[:3]
        await analyze_if_grown(self.database, len(rows))
        return 1e3 * (time.perf_counter() - began)


async def _write(joins: _MemberJoins, writers: int, rows: int, batch: int = BATCH) -> list[float]:
    """Writes rows in batches by concurrent writers; returns the milliseconds that each batch took."""
    starts = iter(range(0, rows, batch))
    times: list[float] = []

    async def write() -> None:
        times.extend([await joins.write(joins.rows(batch)) for _ in starts])

    await asyncio.gather(*(write() for _ in range(writers)))
    return times


@asynccontextmanager
async def _compactor(joins: _MemberJoins, on_compaction: Callable[[], Awaitable[None]] | None = None) -> Any:
    """Compacts as the server's job does; `on_compaction` is called before each compaction."""
    stopping = asyncio.Event()

    async def work() -> None:
        while not stopping.is_set():
            if on_compaction is not None:
                await on_compaction()
            await compaction.compact(joins.database, joins.community.id)
            await asyncio.wait([asyncio.ensure_future(stopping.wait())], timeout=COMPACTION_INTERVAL_SECONDS)

    running = asyncio.create_task(work())
    try:
        yield
    finally:
        stopping.set()
        await running


# A snapshot that is held --------------------------------------------------------------------------------

_UNCOMPACTED = """
SELECT count(*)
FROM {table}
WHERE community_id = $1
    AND recorded_xid >= coalesce((SELECT watermark FROM compaction_state WHERE community_id = $1), '0')
"""


async def _measure_open_snapshot(store: BenchDatabase, size: Size, findings: Findings) -> None:
    commit_count, writers = size.rows(OPEN_SNAPSHOT_COMMITS, 100), 4
    findings.describe(
        f"A snapshot that is held: {writers} writers commit {commit_count:,} joins one by one, first by themselves, then "
        f"while another connection holds a snapshot from before the first of them. The tail is counted before each "
        f"compaction."
    )
    club = await asyncio.to_thread(store.create_club, "held")
    tails: list[float] = []
    async with Database(store.app_url, writers + 3) as database:
        joins = await _MemberJoins.of(database, club.id)

        async def count() -> None:
            async with database.read_transaction(club.id) as scope:
                tails.append(
                    sum(
                        [
                            await scope.fetchval(_UNCOMPACTED.format(table=each), club.id)
                            for each in compaction.DELTA_TABLES
                        ]
                    )
                )

        await _write(joins, writers, commit_count // 10, 1)
        async with _compactor(joins, count):
            latencies_without = await _write(joins, writers, commit_count, 1)
        before = max(tails)
        tails.clear()
        snapshot_connection = await asyncpg.connect(store.owner_url)
        async with snapshot_connection.transaction(isolation="repeatable_read"):
            await snapshot_connection.fetchval("SELECT count(*) FROM communities")
            async with _compactor(joins, count):
                latencies_with = await _write(joins, writers, commit_count, 1)
        await snapshot_connection.close()
    p99_without = findings.record("a join by itself, p99", percentile(latencies_without, 99), "ms")
    p99_with = findings.record("a join by itself while a snapshot is held, p99", percentile(latencies_with, 99), "ms")
    findings.record("rows not compacted yet, at most", before, "")
    max_tail = findings.record("rows not compacted yet while a snapshot is held, at most", max(tails), "")
    findings.target_at_most(
        f"A snapshot held for {commit_count:,} commits: p99 at most twice the usual", p99_with / p99_without, 2, "times"
    )
    findings.target_at_most(
        f"A snapshot held for {commit_count:,} commits: never more than {compaction.MAX_UNCOMPACTED:,} rows are not compacted",
        max_tail,
        compaction.MAX_UNCOMPACTED,
        "rows",
    )


# By stage -----------------------------------------------------------------------------------------------


def _stage(query: str) -> str:
    known = {
        commits._LOCK: "lock",
        refresh_statement(): "refresh",
        members._RECOMPUTE: "derive",
        compaction._COMPACT: "compaction",
        memberships._INSERT: "insert memberships",
    }
    if query in known:
        return known[query]
    if "INSERT INTO profiles" in query:
        return "insert profiles"
    return "commit, begin" if query.startswith(("COMMIT", "BEGIN")) else "find and compare"


async def _measure_stages(store: BenchDatabase, rows: int, findings: Findings) -> None:
    findings.describe(
        "By stage: one writer, with a compaction after every fifth batch; CPU of the process and of its connection."
    )
    club = await asyncio.to_thread(store.create_club, "stages")
    meter = StageMeter(_stage)
    async with Database(store.app_url, 1) as database:
        joins = await _MemberJoins.of(database, club.id)
        await _write(joins, 1, 2 * BATCH)
        await compaction.compact(database, club.id)
        async with database.unscoped_connection() as connection:
            await meter.watch(connection)
        for index, lines in enumerate(_lines(joins, rows)):
            with meter.measure("parse and check"):
                parsed = [PROFILE_SCHEMA.parse(line, joins.community) for line in lines]
            await joins.write(parsed)
            if index % 5 == 4:
                await compaction.compact(database, club.id)
        await compaction.compact(database, club.id)
    costs = [(stage, meter.costs[stage]) for stage in STAGES]
    rows_by_stage = [
        (stage, *(format_number(each / 1000 / rows) for each in (cost.client, cost.database, cost.time)))
        for stage, cost in costs
    ]
    total = [
        format_number(sum(getattr(cost, kind) for _, cost in costs) / 1000 / rows)
        for kind in ("client", "database", "time")
    ]
    findings.add_table(
        f"Microseconds a member by stage, batches of {BATCH:,}",
        ("stage", "CPU here", "CPU of PostgreSQL", "time"),
        [*rows_by_stage, ("in all", *total)],
    )


def _lines(joins: _MemberJoins, rows: int) -> Iterator[list[bytes]]:
    for _ in range(0, rows, BATCH):
        yield [joins.content() for _ in range(BATCH)]
