"""Commits of purchases in communities with segments: none, ten and a hundred; and a small segment against a large one."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from bench import processes
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment
from bench.requests import profile_id
from bench.result import Findings
from bench.seed_data import seed_database, sql
from bench.size import Size
from regulars.ingest.commit import commit
from regulars.ingest.transactions import TransactionWrite, WriteMode, write
from regulars.jobs.maintain_segments import SegmentMaintenance
from regulars.model import community as communities
from regulars.model.community import Community
from regulars.model.transactions.schema import TransactionIn, validate
from regulars.model.unit_of_work import UnitOfWork
from regulars.segments import changes
from regulars.segments.changes import Author, SegmentInput
from regulars.storage.database import Database

ROUNDS = 5
SEGMENTS = (0, 10, 100)
BATCH = 50
LARGE_SEGMENT_MEMBERS = 5_000_000
MAX_COST_RATIO = 1.1
"""A segment of 5,000,000 members may cost a write this many times what one of ten costs; the rest is noise."""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Commits by number of segments, then by the size of one."""
    profiles, commits = size.rows(20_000, 500), size.rows(400, 20)
    findings.describe(
        f"Purchases of {profiles:,} members by the product's own commit, one at a time and {BATCH} in a commit, from one "
        f"connection, of communities with {SEGMENTS[0]}, {SEGMENTS[1]} and {SEGMENTS[2]} segments of two conditions each, "
        f"which take turns. Memberships are stored in the commit of the purchase. CPU is that of the process and of "
        f"PostgreSQL together."
    )
    store = environment.database()
    clubs = {number: store.create_club(f"segments-{number}") for number in SEGMENTS}
    for club in clubs.values():
        _seed(store, club, profiles)
    asyncio.run(_measure_by_number(environment, store, clubs, profiles, commits, size, findings))
    asyncio.run(_measure_by_size(environment, store, clubs[0], profiles, commits, size, findings))


def _seed(store: BenchDatabase, club: BenchClub, profiles: int) -> None:
    seed_database(store, club, profiles, 3 * profiles)
    with store.owner_connection() as connection:
        connection.execute(sql("fill_members").replace("$1", str(club.id)).encode())
    store.vacuum("members")


def _filter(number: int) -> dict[str, Any]:
    """A filter of two conditions, different for each number: a purchase changes the membership of some."""
    return {
        "type": "and",
        "operations": [
            {"type": "greater_than", "field": "aggregations.spend_12m", "value": 100 * number},
            {"type": "in", "field": "aggregations.dimension_recency", "value": ["RC", "RS", "RA"]},
        ],
    }


async def _create(database: Database, club: BenchClub, number: int) -> None:
    for index in range(number):
        new = SegmentInput(f"segment-{index}", "", msgspec.Raw(msgspec.json.encode(_filter(index))))
        async with database.write_transaction(club.id) as scope:
            await changes.create(scope, new, Author(), 1_000)


class _PurchaseWriter:
    """Commits purchases of random members."""

    def __init__(self, database: Database, club: BenchClub, community: Community, profiles: int) -> None:
        self._database = database
        self._community = community
        self._club = club
        self._profiles = profiles
        self._generator = random.Random(club.id)
        self._numbers = itertools.count(1)

    @classmethod
    async def of(cls, database: Database, club: BenchClub, profiles: int) -> "_PurchaseWriter":
        """A writer to a community."""
        async with database.unscoped_connection() as connection:
            return cls(database, club, await communities.get_by_id(connection, club.id), profiles)

    def _write(self) -> TransactionWrite:
        number = self._generator.randint(1, self._profiles)
        fields = {
            "external_id": f"B{next(self._numbers)}",
            "transacted_at": (self._database.clock() - timedelta(minutes=1)).isoformat(),
            "timezone": "UTC",
            "total": Decimal(self._generator.randint(1, 900)),
            "profile_id": str(profile_id(self._club, number)),
            "items": [],
        }
        row = validate(msgspec.convert(fields, TransactionIn, strict=False), self._community)
        return TransactionWrite(row, WriteMode.CREATE)

    async def commit(self, rows: int) -> None:
        """Commits purchases together."""
        writes = [self._write() for _ in range(rows)]

        async def work(uow: UnitOfWork) -> None:
            await write(uow, writes)

        await commit(self._database, self._club.id, work)


async def _measure(environment: BenchEnvironment, writer: _PurchaseWriter, commits: int, rows: int) -> float:
    """Milliseconds of CPU of one commit."""
    before = time.process_time() + processes.cpu_seconds(environment.postmaster_pid)
    for _ in range(commits):
        await writer.commit(rows)
    return 1_000 * (time.process_time() + processes.cpu_seconds(environment.postmaster_pid) - before) / commits


async def _measure_by_number(
    environment: BenchEnvironment,
    store: BenchDatabase,
    clubs: dict[int, BenchClub],
    profiles: int,
    commits: int,
    size: Size,
    findings: Findings,
) -> None:
    async with Database(store.app_url, 1) as database:
        for number, club in clubs.items():
            await _create(database, club, number)
            before = time.process_time() + processes.cpu_seconds(environment.postmaster_pid)
            await SegmentMaintenance(database).run_community(club.id)
            cpu_seconds = time.process_time() + processes.cpu_seconds(environment.postmaster_pid) - before
            if number:
                findings.record(
                    f"first computation of {number} segments", 1e6 * cpu_seconds / profiles, "µs of CPU a member"
                )
        writers = {number: await _PurchaseWriter.of(database, club, profiles) for number, club in clubs.items()}
        for rows in (1, BATCH):
            measured: dict[int, list[float]] = {number: [] for number in clubs}
            for writer in writers.values():
                await _measure(environment, writer, 10, rows)
            for _ in range(size.rounds(ROUNDS)):
                for number, writer in writers.items():
                    measured[number].append(await _measure(environment, writer, max(5, commits // rows), rows))
            purchases = "1 purchase" if rows == 1 else f"{rows} purchases"
            for number, values in measured.items():
                findings.record(f"{purchases}, {number} segments", values, "ms of CPU a commit")


async def _measure_by_size(
    environment: BenchEnvironment,
    store: BenchDatabase,
    club: BenchClub,
    profiles: int,
    commits: int,
    size: Size,
    findings: Findings,
) -> None:
    """One segment, of ten members and then of millions: the memberships of other profiles are only rows."""
    members = size.rows(LARGE_SEGMENT_MEMBERS, 5_000)
    async with Database(store.app_url, 1) as database:
        await _create(database, club, 1)
        await SegmentMaintenance(database).run_community(club.id)
        writer = await _PurchaseWriter.of(database, club, profiles)
        await _measure(environment, writer, 20, 1)
        small = await _measure_rounds(lambda: _measure(environment, writer, commits, 1), size)
        with store.owner_connection() as connection:
            connection.execute("SELECT set_config('regulars.community_id', %s, false)", [str(club.id)])
            connection.execute(
                """
                INSERT INTO segment_memberships (community_id, profile_id, version_id, entered_at)
                SELECT %s, gen_random_uuid(), (SELECT max(version_id) FROM segments WHERE community_id = %s), now()
                FROM generate_series(1, %s)
                """,
                [club.id, club.id, members],
            )
        store.vacuum("segment_memberships")
        await _measure(environment, writer, 20, 1)
        large = await _measure_rounds(lambda: _measure(environment, writer, commits, 1), size)
    small_cost = findings.record("1 purchase, a segment of the seeded members", small, "ms of CPU a commit")
    large_cost = findings.record(f"1 purchase, a segment of {members:,} more members", large, "ms of CPU a commit")
    findings.target_at_most(
        f"A commit in a community whose segment has {members:,} members: at most {MAX_COST_RATIO} times that of a small one",
        large_cost / small_cost,
        MAX_COST_RATIO,
        "times",
    )


async def _measure_rounds(measure: Callable[[], Any], size: Size) -> Sequence[float]:
    return [await measure() for _ in range(size.rounds(ROUNDS))]
