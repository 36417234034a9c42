"""A full recompute of all profiles, against a plain GROUP BY over the same rows."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import UUID

from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one
from bench.result import Findings
from bench.seed_data import seed_database
from bench.size import Size
from regulars.aggregations.compiled_values import values_statement

PROFILES_PER_STATEMENT = 5_000
MAX_RATIO = 30
ROUNDS = 3

_GROUPED = """
SELECT count(*), sum(n) FROM (
    SELECT profile_id, count(*) AS n, sum(amount), min(transacted_at), max(transacted_at)
    FROM transactions
    WHERE community_id = $1
    GROUP BY profile_id
    OFFSET 0
) AS grouped
"""


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """5 million transactions over 500,000 profiles."""
    profiles = size.rows(500_000, 2_000)
    findings.describe(
        f"{10 * profiles:,} transactions of {profiles:,} profiles. Recompute: the product's compiled statement over "
        f"all profiles, {PROFILES_PER_STATEMENT:,} at a time in the order of their ids. Plain: SELECT profile_id, count(*), "
        f"sum(amount), min(transacted_at), max(transacted_at) FROM transactions GROUP BY profile_id. Neither sends its "
        f"rows; both are as the app's role, in turns, once with one core each and once with all cores (two "
        f"connections; parallel workers)."
    )
    store = environment.database()
    club = store.create_club("recompute")
    seed_database(store, club, profiles, 10 * profiles)
    with store.owner_connection() as connection:
        rows = connection.execute(
            "SELECT profile_id FROM profiles WHERE community_id = %s ORDER BY profile_id", [club.id]
        )
        profile_ids = [each[0] for each in rows]
        now = fetch_one(connection, "SELECT now()")[0]
    for cores in (1, 2):
        _compare(store, club, profile_ids, now, cores, size, findings)


def _compare(
    store: BenchDatabase,
    club: BenchClub,
    profile_ids: list[UUID],
    now: datetime,
    cores: int,
    size: Size,
    findings: Findings,
) -> None:
    _group_by_seconds(store, club, cores)
    recompute_times, group_by_times, ratios = [], [], []
    for _ in range(size.rounds(ROUNDS)):
        group_by_times.append(_group_by_seconds(store, club, cores))
        recompute_times.append(recompute_seconds(store, club, profile_ids, now, cores))
        ratios.append(recompute_times[-1] / group_by_times[-1])
    kind = f"{cores} core{'s' if cores > 1 else ''}"
    findings.record(f"plain GROUP BY, {kind}", group_by_times, "s")
    seconds = findings.record(f"full recompute, {kind}", recompute_times, "s")
    findings.record(f"full recompute, {kind}, a profile", 1e6 * seconds / len(profile_ids), "µs")
    ratio = findings.record(f"full recompute / plain GROUP BY, {kind}", ratios, "")
    findings.target_at_most(
        f"Full recompute of {10 * len(profile_ids):,} transactions over {len(profile_ids):,} profiles, {kind}: within "
        f"{MAX_RATIO} times a plain GROUP BY",
        ratio,
        MAX_RATIO,
    )


def _group_by_seconds(store: BenchDatabase, club: BenchClub, cores: int) -> float:
    with store.app_connection(club) as connection:
        connection.execute(f"SET max_parallel_workers_per_gather = {cores - 1}".encode())
        began = time.perf_counter()
        fetch_one(connection, _GROUPED, [club.id])
        return time.perf_counter() - began


def recompute_seconds(
    store: BenchDatabase, club: BenchClub, profile_ids: list[UUID], now: datetime, cores: int
) -> float:
    """Computes all values of these profiles, without sending or storing them; returns the seconds that it takes."""
    batches = [
        profile_ids[start : start + PROFILES_PER_STATEMENT]
        for start in range(0, len(profile_ids), PROFILES_PER_STATEMENT)
    ]
    began = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        shares = [batches[number::cores] for number in range(cores)]
        count = sum(pool.map(lambda share: _count_profiles(store, club, share, now), shares))
    seconds = time.perf_counter() - began
    assert count == len(profile_ids), count
    return seconds


def _count_profiles(store: BenchDatabase, club: BenchClub, batches: list[list[UUID]], now: datetime) -> int:
    text = f"WITH fresh AS MATERIALIZED (\n{values_statement()}\n) SELECT count(*) FROM fresh"
    total = 0
    with store.app_connection(club) as connection:
        for batch in batches:
            values: list[Any] = [club.id, batch, [now] * len(batch)]
            total += fetch_one(connection, text, values)[0]
    return total
