"""Single writes: one POST a transaction by many clients, against a row trigger that recomputes the profile."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice, repeat

from bench import load_generator, postgres_cpu
from bench.environment import BenchClub, BenchEnvironment, wait_for_autovacuum
from bench.load_generator import Load
from bench.naive import recompute_by_trigger
from bench.postgres_cpu import PostgresCpu
from bench.requests import writes
from bench.result import Findings
from bench.seed_data import seed_database
from bench.served import NAIVE
from bench.serving import RunningServer, serve
from bench.size import Size

CLIENTS = 64
ROUNDS = 4
HOT = 50
PATH = "/api/v3/transactions"


class _Way:
    """One way to write, to the club that is its own."""

    def __init__(self, environment: BenchEnvironment, club: BenchClub, path: str) -> None:
        self._environment = environment
        self._club = club
        self._path = path
        self.begin()

    def begin(self) -> None:
        """Discards what was measured."""
        self.loads: list[Load] = []
        self.server: list[float] = []
        self.database: list[PostgresCpu] = []

    def measure(self, served: RunningServer, profiles: Sequence[int], seconds: float) -> Load:
        """One round."""
        expected = self.loads[-1].per_second * 1.5 if self.loads else 4_000
        requests = writes(self._club, self._path, profiles, int(expected * seconds) + CLIENTS)
        server = served.cpu_seconds()
        with postgres_cpu.measure(self._environment.postmaster_pid) as database:
            done = load_generator.closed_loop(served.port, iter(requests), CLIENTS, seconds).require(201)
        self.loads.append(done)
        self.server.append(1e6 * (served.cpu_seconds() - server) / done.responses)
        self.database.append(database.per(done.responses))
        return done


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """The product and the naive way take turns, each with a club of its own of the same size."""
    profiles = size.rows(100_000, 500)
    seconds = size.seconds(8)
    findings.describe(
        f"Two clubs in the same tables, each of {profiles:,} profiles with {10 * profiles:,} transactions. Naive: the "
        f"same server and the same insert, in a database transaction of its own for each request; a row trigger locks "
        f"the profile and upserts the values by the product's own compiled statement. It writes no outbox, so it does "
        f"less."
    )
    findings.describe(
        f"{CLIENTS} clients in a closed loop, one POST a transaction with two lines, each found by its sku; rounds of "
        f"{seconds:g} s that take turns; fsync and synchronous_commit are on; the load generator is on the same cores."
    )
    findings.describe(
        f"{HOT} hot profiles: all writes of a round are of {HOT} profiles, of others in each round, lest it be the "
        f"histories of the rounds before that are measured."
    )
    store = environment.database()
    ours, naive = store.create_club("ours"), store.create_club("naive")
    for club in (ours, naive):
        seed_database(store, club, profiles, 10 * profiles)
    recompute_by_trigger(store, naive)
    ways = (_Way(environment, ours, PATH), _Way(environment, naive, NAIVE))
    for workers in (1, 4):
        with serve(environment, store, workers) as served:
            for hot in (False, True):
                with store.owner_connection() as connection:
                    wait_for_autovacuum(connection)
                case = f"{workers} process{'es' if workers > 1 else ''}{f', {HOT} hot profiles' if hot else ''}"
                chosen = _hot(profiles) if hot else repeat(range(1, profiles + 1))
                _rounds(served, ways, chosen, seconds, size.rounds(ROUNDS))
                _report(ways, case, 100 if hot else 50, findings)


def _hot(profiles: int) -> Iterator[Sequence[int]]:
    """The hot profiles of each round."""
    return (range(first, first + HOT) for first in cycle(range(1, profiles - HOT, HOT)))


def _rounds(
    served: RunningServer, ways: tuple[_Way, _Way], chosen: Iterator[Sequence[int]], seconds: float, rounds: int
) -> None:
    profiles = next(chosen)
    for way in ways:
        way.begin()
        # Every connection of every process plans its statements.
        way.measure(served, profiles, seconds)
        way.begin()
    for profiles in islice(chosen, rounds):
        for way in ways:
            way.measure(served, profiles, seconds)


def _report(ways: tuple[_Way, _Way], case: str, most: float, findings: Findings) -> None:
    ours, naive = ways
    findings.record(f"product, {case}", [each.per_second for each in ours.loads], "transactions/s")
    findings.record(f"naive, {case}", [each.per_second for each in naive.loads], "transactions/s")
    ratios = [one.per_second / other.per_second for one, other in zip(ours.loads, naive.loads, strict=True)]
    ratio = findings.record(f"product / naive, {case}", ratios, "")
    findings.record(f"product, {case}, p50", [each.percentile(50) for each in ours.loads], "ms")
    slow = findings.record(f"product, {case}, p99", [each.percentile(99) for each in ours.loads], "ms")
    findings.record(f"naive, {case}, p99", [each.percentile(99) for each in naive.loads], "ms")
    for name, way in (("product", ours), ("naive", naive)):
        findings.record(f"{name}, {case}, CPU of the server", way.server, "µs a transaction")
        postgres_cpu.record(findings, f"{name}, {case}, CPU of PostgreSQL", way.database, "µs a transaction")
    findings.target_at_least(f"Single writes, {CLIENTS} clients, {case}: at least 3 times the naive way", ratio, 3)
    findings.target_at_most(f"Single writes, {CLIENTS} clients, {case}: p99 under {most:g} ms", slow, most, "ms")
