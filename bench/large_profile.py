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
HOT = 1
EVERY = 50
ROUNDS = 5


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """Writes of one profile with 20,000 transactions among those of others."""
    profiles = size.rows(50_000, 1_000)
    many = size.rows(20_000, 500)
    seconds = max(2.0, size.seconds(20))
    findings.describe(
        f"{profiles:,} profiles with {10 * profiles:,} transactions, one of them with {many:,} of its own. Open loop: "
        f"{RATE} writes a second to other profiles, for {seconds:g} s; in every second round each {EVERY}th write is "
        f"one of that profile."
    )
    store = environment.database()
    club = store.create_club("hot")
    seed_database(store, club, profiles, 10 * profiles)
    with store.owner_connection() as connection:
        # All of them of the first profile.
        add_transactions(connection, club, many, 1)
    store.vacuum("transactions")
    with serve(environment, store) as served:
        _round(served, club, profiles, 2, hot=True)
        with store.owner_connection() as connection:
            wait_for_autovacuum(connection)
        without, among = [], []
        for _ in range(size.rounds(ROUNDS)):
            without.append(_round(served, club, profiles, seconds, hot=False))
            among.append(_round(served, club, profiles, seconds, hot=True))
    _report(without, among, many, findings)


def _round(served: RunningServer, club: BenchClub, profiles: int, seconds: float, *, hot: bool) -> Load:
    number = int(seconds * RATE) + 1
    others = iter(writes(club, "/api/v3/transactions", range(2, profiles + 1), number, "other"))
    slow = iter(writes(club, "/api/v3/transactions", [HOT], number // EVERY + 1, "hot"))

    def mixed() -> Iterator[Request]:
        for place_ in itertools.count(1):
            yield next(slow) if hot and place_ % EVERY == 0 else next(others)

    return load_generator.open_loop(served.port, mixed(), 64, seconds, RATE).require(201)


def _report(without: list[Load], among: list[Load], many: int, findings: Findings) -> None:
    hot = findings.record("write of the large profile, p50", [each.percentile(50, "hot") for each in among], "ms")
    findings.record("write of the large profile, slowest", [each.percentile(100, "hot") for each in among], "ms")
    findings.target_at_most(f"A profile with {many:,} transactions: a write under 200 ms", hot, 200, "ms")
    for percent in (50, 99, 100):
        name = "slowest" if percent == 100 else f"p{percent}"
        one = findings.record(
            f"writes of others, {name}", [each.percentile(percent, "other") for each in without], "ms"
        )
        other = findings.record(
            f"writes of others among writes of the large profile, {name}",
            [each.percentile(percent, "other") for each in among],
            "ms",
        )
        if percent == 99:
            findings.target_at_most(
                f"A profile with {many:,} transactions delays no other profile's write by more than 50 ms (p99 with it "
                f"less p99 without)",
                other - one,
                50,
                "ms",
            )
