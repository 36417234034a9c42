"""Transactions and values in one table each, against tables partitioned by a hash of (community, profile)."""

import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one, wait_for_autovacuum
from bench.processes import thread_cpu_nanoseconds
from bench.recompute import recompute_seconds
from bench.result import Findings
from bench.seed_data import seed_database, sql
from bench.size import Size
from regulars.aggregations.table import refresh_statement

PARTS = (8, 32)
ROUNDS = 3
BATCH = 1_000
UPDATED_MODULUS = 20
"""Before a vacuum, the rows of one profile in this many are updated."""

_TABLES = ("transactions", "profile_aggregations")
_UPDATES = {
    # Each leaves a dead row behind it in the table, and in its indexes.
    "transactions": "UPDATE transactions SET transacted_on = transacted_on + 1",
    "profile_aggregations": "UPDATE profile_aggregations SET next_change_at = next_change_at + interval '1 second'",
}


@dataclass
class _Layout:
    """A layout of the tables in a database of its own, and its figures of each round by name and unit."""

    name: str
    store: BenchDatabase
    club: BenchClub
    figures: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def record(self, name: str, value: float, unit: str) -> None:
        """Records a figure of this round."""
        self.figures[name, unit].append(value)


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """10 million transactions of 1 million profiles, three times in one server."""
    profiles = size.rows(1_000_000, 2_000)
    findings.describe(
        f"{10 * profiles:,} transactions of {profiles:,} profiles with their values, in three databases of one server: "
        f"as the product stores them, and both tables in {' and in '.join(map(str, PARTS))} parts by a hash of "
        f"(community_id, profile_id), with the same indexes, but the key and the external id unique within a profile "
        f"only. All take turns. A sale is inserted of random profiles, then the product's own statement "
        f"refreshes their values, which move. Their CPU is that of the connection, a profile."
    )
    findings.describe(
        f"Vacuum: after an update of the rows of one profile in {UPDATED_MODULUS}, without parallel workers, as autovacuum does; "
        f"the longest is that of one part. A first write is that of a new connection, which plans it."
    )
    layouts = _create_layouts(environment, profiles)
    profile_ids = _profile_ids(layouts[0])
    with layouts[0].store.owner_connection() as connection:
        now = fetch_one(connection, "SELECT now()")[0]
    for round_number in range(size.rounds(ROUNDS)):
        for layout in random.Random(round_number).sample(layouts, len(layouts)):
            generator = random.Random(round_number)
            _write(layout, profile_ids, now, generator, size)
            seconds = recompute_seconds(layout.store, layout.club, profile_ids[: size.rows(200_000, 500)], now, 1)
            layout.record("recompute, 1 core", seconds, "s")
            _vacuum(layout, round_number)
    _report(layouts, findings)


def _create_layouts(environment: BenchEnvironment, profiles: int) -> list[_Layout]:
    store = environment.database()
    club = store.create_club("partitions")
    seed_database(store, club, profiles, 10 * profiles)
    layouts = [_Layout("one table", store, club)]
    for parts in PARTS:
        name = f"parts_{parts}"
        with psycopg.connect(store.owner_url.replace("/regulars?", "/postgres?"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE regulars".encode())
        split = BenchDatabase(*(url.replace("/regulars?", f"/{name}?") for url in (store.owner_url, store.app_url)))
        with split.owner_connection() as connection:
            connection.execute(sql("partition").format(parts=parts).encode())
        # The migration adds row-level security and the permissions of the application to the new tables.
        layouts.append(_Layout(f"{parts} parts", environment.database(name), club))
    for layout in layouts:
        layout.store.vacuum(*_TABLES)
        with layout.store.owner_connection() as connection:
            wait_for_autovacuum(connection)
    return layouts


def _profile_ids(layout: _Layout) -> list[UUID]:
    with layout.store.owner_connection() as connection:
        rows = connection.execute("SELECT profile_id FROM profiles ORDER BY profile_id").fetchall()
    return [each[0] for each in rows]


# Writes --------------------------------------------------------------------------------------------------


def _write(layout: _Layout, profile_ids: list[UUID], now: datetime, generator: random.Random, size: Size) -> None:
    with layout.store.app_connection(layout.club) as connection:
        began = time.perf_counter()
        _insert_and_refresh(connection, layout.club, profile_ids[:1], now)
        layout.record("first write of a connection", 1e3 * (time.perf_counter() - began), "ms")
        for profiles, times in ((1, size.rows(500, 5)), (BATCH, size.rows(10, 2))):
            costs = [
                _insert_and_refresh(connection, layout.club, generator.sample(profile_ids, profiles), now)
                for _ in range(times)
            ]
            for name, used in zip(("insert", "refresh"), map(sum, zip(*costs, strict=True)), strict=True):
                layout.record(f"{name} of {profiles:,}", used / 1e3 / times / profiles, "µs")


def _insert_and_refresh(
    connection: psycopg.Connection, club: BenchClub, profiles: list[UUID], now: datetime
) -> tuple[int, int]:
    """Inserts a sale of each profile and refreshes their values; returns the nanoseconds that each of both used."""
    process = connection.info.backend_pid
    connection.execute(b"BEGIN")
    before = thread_cpu_nanoseconds(process)
    connection.execute(sql("insert_sales").encode(), [club.id, profiles], prepare=True)
    between = thread_cpu_nanoseconds(process)
    values: list[Any] = [club.id, profiles, [now] * len(profiles), ["bench"] * len(profiles)]
    connection.execute(refresh_statement().encode(), values, prepare=True)
    after = thread_cpu_nanoseconds(process)
    connection.execute(b"COMMIT")
    return between - before, after - between


# Vacuum --------------------------------------------------------------------------------------------------


_PARTS = """
SELECT coalesce(part.inhrelid, whole.oid)::regclass AS part
FROM pg_class AS whole
LEFT JOIN pg_inherits AS part ON part.inhparent = whole.oid
WHERE whole.oid = %s::regclass
"""
"""The partitions of a table, or the table itself if it has none."""


def _vacuum(layout: _Layout, round_number: int) -> None:
    with layout.store.owner_connection() as connection:
        for table in _TABLES:
            condition = f"WHERE (hashtextextended(profile_id::text, 0) & 1023) % {UPDATED_MODULUS} = {round_number}"
            connection.execute(f"{_UPDATES[table]} {condition}".encode())
            seconds = [_timed(connection, f"VACUUM (PARALLEL 0) {part}") for part in _parts(connection, table)]
            layout.record(f"vacuum of {table}", sum(seconds), "s")
            layout.record(f"vacuum of {table}, longest", max(seconds), "s")
            indexes = f"SELECT sum(pg_indexes_size(part)) / 2 ^ 20 FROM ({_PARTS}) AS parts"
            layout.record(f"indexes of {table}", float(fetch_one(connection, indexes, [table])[0]), "MiB")


def _parts(connection: psycopg.Connection, table: str) -> list[str]:
    return [each[0] for each in connection.execute(f"SELECT part::text FROM ({_PARTS}) AS parts".encode(), [table])]


def _timed(connection: psycopg.Connection, statement: str) -> float:
    began = time.perf_counter()
    connection.execute(statement.encode())
    return time.perf_counter() - began


def _report(layouts: list[_Layout], findings: Findings) -> None:
    unpartitioned, *split = layouts
    rows = []
    for (name, unit), one in unpartitioned.figures.items():
        values = [findings.record(f"{name}, {unpartitioned.name}", one, unit)]
        for layout in split:
            values.append(findings.record(f"{name}, {layout.name}", layout.figures[name, unit], unit))
            ratios = [other / base for other, base in zip(layout.figures[name, unit], one, strict=True)]
            findings.record(f"{name}: {layout.name} / {unpartitioned.name}", ratios, "")
        rows.append([f"{name}, {unit}", *(f"{each:,.1f}" for each in values)])
    findings.add_table("Medians", ["", *(layout.name for layout in layouts)], rows)
