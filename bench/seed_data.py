"""Seeds a database: facts by set-based statements of the owner, values by the refresh of the product."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from bench.environment import BenchClub, BenchDatabase, fetch_one
from regulars.aggregations.table import refresh_statement

LOCATIONS = 200
VARIANTS = 1_000

PROFILES_PER_STATEMENT = 2_000
"""Profiles that one statement refreshes."""

_SQL = Path(__file__).parent / "sql"


def sql(name: str) -> str:
    """A statement of the benchmarks by file name."""
    return (_SQL / f"{name}.sql").read_text()


def seed_database(
    store: BenchDatabase,
    club: BenchClub,
    profiles: int,
    transactions: int,
    *,
    update_statement: str = "",
    update_arguments: Sequence[object] = (),
) -> None:
    """Stores profiles with transactions at random, each in three stores of its own; brings all values up to date.

    `update_statement` changes the transactions as a benchmark needs them, before values are computed.
    """
    with store.owner_connection() as connection:
        connection.execute("SELECT set_config('regulars.community_id', %s, false)", [str(club.id)])
        _run(connection, sql("fill_catalogue"), club.id, LOCATIONS, VARIANTS)
        with _without_indexes(connection, "profiles"):
            _run(connection, sql("fill_profiles"), club.id, profiles, LOCATIONS)
        with _without_indexes(connection, "transactions"):
            add_transactions(connection, club, transactions, profiles)
            if update_statement:
                _run(connection, update_statement, *update_arguments)
    store.vacuum("locations", "brands", "products", "product_variants", "profiles", "addresses", "transactions")
    refresh_all(store, club)
    store.vacuum("profile_aggregations")


def seed_profiles(store: BenchDatabase, club: BenchClub, profiles: int) -> None:
    """Stores profiles, in locations, without transactions."""
    with store.owner_connection() as connection:
        connection.execute("SELECT set_config('regulars.community_id', %s, false)", [str(club.id)])
        _run(connection, sql("fill_catalogue"), club.id, LOCATIONS, VARIANTS)
        with _without_indexes(connection, "profiles"):
            _run(connection, sql("fill_profiles"), club.id, profiles, LOCATIONS)
    store.vacuum("profiles")


def add_transactions(connection: psycopg.Connection, club: BenchClub, number: int, profiles: int) -> None:
    """Stores transactions of random ones among the first profiles; their values are not refreshed."""
    before = fetch_one(connection, "SELECT coalesce(max(id), 0) FROM transactions")[0]
    values = (club.id, number, profiles, LOCATIONS, VARIANTS, before)
    _run(connection, sql("fill_transactions"), *values)
    # Above what was just stored, and within the range of the community.
    connection.execute(
        "SELECT setval(CAST(%s AS regclass), greatest(max(id), %s)) FROM transactions WHERE community_id = %s",
        [f"row_ids_{club.id}", (club.id << 32) + 1, club.id],
    )


def _run(connection: psycopg.Connection, statement: str, *values: object) -> None:
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(statement.encode(), values)


@contextmanager
def _without_indexes(connection: psycopg.Connection, table: str) -> Iterator[None]:
    """Drops a table's indexes, except its key, and builds them again at the end, which is faster."""
    rows = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT LIKE '%%_pkey'", [table]
    ).fetchall()
    for name, _ in rows:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    for _, definition in rows:
        connection.execute(definition.encode())


def refresh_all(store: BenchDatabase, club: BenchClub) -> None:
    """Computes all values that are not there yet by the product's own refresh, and empties the outbox."""
    with store.owner_connection() as connection:
        profile_ids = [
            row[0]
            for row in connection.execute(
                """
                SELECT profile_id FROM profiles WHERE community_id = %s
                EXCEPT SELECT profile_id FROM profile_aggregations WHERE community_id = %s
                ORDER BY profile_id
                """,
                [club.id, club.id],
            )
        ]
        now = fetch_one(connection, "SELECT now()")[0].astimezone(UTC)
        batches = [
            profile_ids[start : start + PROFILES_PER_STATEMENT]
            for start in range(0, len(profile_ids), PROFILES_PER_STATEMENT)
        ]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda share: _refresh(store, club, share, now), (batches[::2], batches[1::2])))
        connection.execute("TRUNCATE outbox")


def _refresh(store: BenchDatabase, club: BenchClub, batches: list[list[UUID]], now: datetime) -> None:
    with store.app_connection(club) as connection:
        for batch in batches:
            reasons: list[Any] = ["fill"] * len(batch)
            connection.execute(refresh_statement().encode(), [club.id, batch, [now] * len(batch), reasons])
