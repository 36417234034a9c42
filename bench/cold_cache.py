"""Bulk writes with cold caches: how many pages are read a profile, and how fast it goes from there."""

import random
import time
from collections import defaultdict
from typing import Any
from uuid import UUID

import psycopg

from bench.bulk import sizes
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one
from bench.import_client import upload_import
from bench.requests import file_lines, profile_id
from bench.result import Findings, format_number
from bench.seed_data import seed_database, sql
from bench.serving import serve
from bench.size import Size
from regulars.aggregations.table import refresh_statement
from regulars.ingest.commit import _LOCK as LOCK

BATCH = 500
ROUNDS = 3
MAX_PAGES = 3

_TYPES = ("int", "uuid[]", "timestamptz[]", "text[]")


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """The refresh of 500 random profiles, and a file of transactions, each right after a cold start."""
    profiles, stored = sizes(size)
    rounds = size.rounds(ROUNDS)
    batch_size = min(BATCH, profiles // 4)
    rows = size.rows(20_000, 1_000)
    findings.describe(f"{stored:,} transactions of {profiles:,} profiles stored; every other profile has an address.")
    findings.describe(
        f"Pages: PostgreSQL is restarted and the machine's caches are dropped; the catalogue is in use, as it "
        f"always is, and so are the roots of the indexes (50 other profiles are read first); then one sale is inserted "
        f"for each of {batch_size} random profiles, the profiles are locked, and the product's refresh runs under "
        f"EXPLAIN (ANALYZE, BUFFERS). What a statement reads from disk counts; all is undone."
    )
    store = environment.database()
    club = store.create_club("cold")
    seed_database(store, club, profiles, stored)
    in_order = [
        _pages(environment, store, club, profiles, batch_size, findings, seed, alone=False) for seed in range(rounds)
    ]
    alone = [
        _pages(environment, store, club, profiles, batch_size, findings, seed, alone=True) for seed in range(rounds)
    ]
    _report(in_order, alone, batch_size, findings)
    _speed(environment, store, club, profiles, rows, rounds, findings)


def _pages(
    environment: BenchEnvironment,
    store: BenchDatabase,
    club: BenchClub,
    profiles: int,
    batch_size: int,
    findings: Findings,
    seed: int,
    *,
    alone: bool,
) -> dict[str, int]:
    """Pages read from disk by statement and, within the refresh, by relation."""
    if not environment.restart_cold() and seed == 0 and not alone:
        findings.describe("The machine's own caches could not be dropped here: only PostgreSQL's were.")
    generator = random.Random(seed)
    numbers = generator.sample(range(1, profiles + 1), batch_size + 50)
    profile_ids = sorted(profile_id(club, each) for each in numbers[50:])
    others = sorted(profile_id(club, each) for each in numbers[:50])
    pages_by_step: dict[str, int] = {}
    with store.app_connection(club) as connection:
        connection.execute("BEGIN")
        _refresh(connection, club, others)
        if not alone:
            pages_by_step["insert"] = _read(_explain(connection, sql("insert_sales"), [club.id, profile_ids]))
            pages_by_step["lock"] = _read(_explain(connection, LOCK, [club.id, profile_ids]))
        plan = _refresh(connection, club, profile_ids)
        pages_by_step["refresh"] = _read(plan)
        for relation, pages in _by_relation(plan).items():
            pages_by_step[f"refresh: {relation}"] = pages
        connection.execute("ROLLBACK")
    return pages_by_step


def _refresh(connection: psycopg.Connection, club: BenchClub, profile_ids: list[UUID]) -> dict[str, Any]:
    now = fetch_one(connection, "SELECT now()")[0]
    values = [club.id, profile_ids, [now] * len(profile_ids), ["bench"] * len(profile_ids)]
    return _explain(connection, refresh_statement(), values)


def _explain(connection: psycopg.Connection, statement: str, values: list[Any]) -> dict[str, Any]:
    """The plan of a statement as the product has it: the generic plan, without the values. Executes the statement."""
    cursor = psycopg.ClientCursor(connection)
    types = ", ".join(_TYPES[: len(values)])
    cursor.execute(f"PREPARE explained ({types}) AS {statement}".encode())
    placeholders = ", ".join(["%s"] * len(values))
    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained ({placeholders})".encode(), values)
    ((plans,),) = cursor.fetchall()
    cursor.execute("DEALLOCATE explained")
    plan: dict[str, Any] = plans[0]
    return plan


def _read(plan: dict[str, Any]) -> int:
    """Pages that a whole statement read from disk, planning left out."""
    return int(plan["Plan"]["Shared Read Blocks"])


def _by_relation(plan: dict[str, Any]) -> dict[str, int]:
    """Pages that the scans of a statement read; nodes above a scan include its pages again."""
    blocks: dict[str, int] = defaultdict(int)

    def walk(node: dict[str, Any]) -> None:
        if node["Node Type"].endswith("Scan") and "Relation Name" in node:
            index = f" by {node['Index Name']}" if "Index Name" in node else ""
            blocks[f"{node['Relation Name']}{index}"] += node["Shared Read Blocks"]
        for each in node.get("Plans", []):
            walk(each)

    walk(plan["Plan"])
    return {name: pages for name, pages in sorted(blocks.items(), key=lambda each: -each[1]) if pages}


def _report(in_order: list[dict[str, int]], alone: list[dict[str, int]], batch_size: int, findings: Findings) -> None:
    def rounds(results: list[dict[str, int]], name: str) -> list[float]:
        return [each.get(name, 0) / batch_size for each in results]

    findings.record("pages read a profile by the insert", rounds(in_order, "insert"), "pages")
    findings.record("pages read a profile by the lock", rounds(in_order, "lock"), "pages")
    pages = findings.record("pages read a profile by the refresh that follows", rounds(in_order, "refresh"), "pages")
    findings.target_at_most(
        "After dropping caches, refresh within a write: at most 3 pages read a profile", pages, MAX_PAGES
    )
    pages = findings.record("pages read a profile by the refresh alone", rounds(alone, "refresh"), "pages")
    findings.target_at_most(
        "After dropping caches, refresh with nothing before it: at most 3 pages read a profile", pages, MAX_PAGES
    )
    names = sorted({name for each in (*in_order, *alone) for name in each if name.startswith("refresh: ")})
    findings.add_table(
        "Pages that the refresh reads a profile, by what they belong to (first of the rounds)",
        ("relation", "within a write", "alone"),
        [
            (
                name.removeprefix("refresh: "),
                *(format_number(each[0].get(name, 0) / batch_size) for each in (in_order, alone)),
            )
            for name in names
        ],
    )


def _speed(
    environment: BenchEnvironment,
    store: BenchDatabase,
    club: BenchClub,
    profiles: int,
    rows: int,
    rounds: int,
    findings: Findings,
) -> None:
    findings.describe(
        f"Speed: a file of {rows:,} transactions with two lines each, after a cold start and then again, warm."
    )
    rates: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        environment.restart_cold()
        with serve(environment, store) as server:
            for name, values in rates.items():
                pieces = list(file_lines(club, profiles, rows, lines=2))
                began = time.perf_counter()
                response = upload_import(server.port, club, pieces)
                values.append(rows / (time.perf_counter() - began))
                assert response["accepted"] == rows, (name, response)
    for name, values in rates.items():
        findings.record(f"import, two lines each, {name}", values, "transactions/s")
