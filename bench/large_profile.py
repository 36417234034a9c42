"""A profile with very many transactions: what its writes cost, and whether others wait for them."""

import itertools
from collections.abc import Iterator

from bench import load_generator
from bench.environment import BenchClub, BenchEnvironment, wait_for_autovacuum
from bench.load_generator import Load, Request
from bench.requests import writes
from bench.result import Findings
from bench.seed_data import add_transactions, seed_database
from bench.serving import RunningServer, serve
from bench.size import Size

RATE = 100
LARGE_PROFILE = 1
LARGE_PROFILE_INTERVAL = 50
"""Every so many writes, one is of the large profile."""
ROUNDS = 5


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Writes of one profile with 20,000 transactions among those of others."""
    profiles = size.rows(50_000, 1_000)
    transactions = size.rows(20_000, 500)
    seconds = max(2.0, size.seconds(20))
    findings.describe(
        f"{profiles:,} profiles with {10 * profiles:,} transactions, one of them with {transactions:,} of its own. Open loop: "
        f"{RATE} writes a second to other profiles, for {seconds:g} s; in every second round each {LARGE_PROFILE_INTERVAL}th "
        f"write is one of that profile."
    )
    store = environment.database()
    club = store.create_club("hot")
    seed_database(store, club, profiles, 10 * profiles)
    with store.owner_connection() as connection:
        # All of them of the first profile.
        add_transactions(connection, club, transactions, 1)
    store.vacuum("transactions")
    with serve(environment, store) as server:
        _round(server, club, profiles, 2, hot=True)
        with store.owner_connection() as connection:
            wait_for_autovacuum(connection)
        loads_of_others, loads_with_large = [], []
        for _ in range(size.rounds(ROUNDS)):
            loads_of_others.append(_round(server, club, profiles, seconds, hot=False))
            loads_with_large.append(_round(server, club, profiles, seconds, hot=True))
    _report(loads_of_others, loads_with_large, transactions, findings)


def _round(server: RunningServer, club: BenchClub, profiles: int, seconds: float, *, hot: bool) -> Load:
    number = int(seconds * RATE) + 1
    others = iter(writes(club, "/api/v3/transactions", range(2, profiles + 1), number, "other"))
    slow = iter(writes(club, "/api/v3/transactions", [LARGE_PROFILE], number // LARGE_PROFILE_INTERVAL + 1, "hot"))

    def mixed() -> Iterator[Request]:
        for index in itertools.count(1):
            yield next(slow) if hot and index % LARGE_PROFILE_INTERVAL == 0 else next(others)

    return load_generator.open_loop(server.port, mixed(), 64, seconds, RATE).require(201)


def _report(loads_of_others: list[Load], loads_with_large: list[Load], transactions: int, findings: Findings) -> None:
    hot = findings.record(
        "write of the large profile, p50", [each.percentile(50, "hot") for each in loads_with_large], "ms"
    )
    findings.record(
        "write of the large profile, slowest", [each.percentile(100, "hot") for each in loads_with_large], "ms"
    )
    findings.target_at_most(f"A profile with {transactions:,} transactions: a write under 200 ms", hot, 200, "ms")
    for percent in (50, 99, 100):
        name = "slowest" if percent == 100 else f"p{percent}"
        percentile_alone = findings.record(
            f"writes of others, {name}", [each.percentile(percent, "other") for each in loads_of_others], "ms"
        )
        percentile_beside = findings.record(
            f"writes of others among writes of the large profile, {name}",
            [each.percentile(percent, "other") for each in loads_with_large],
            "ms",
        )
        if percent == 99:
            findings.target_at_most(
                f"A profile with {transactions:,} transactions delays no other profile's write by more than 50 ms (p99 with it "
                f"less p99 without)",
                percentile_beside - percentile_alone,
                50,
                "ms",
            )
