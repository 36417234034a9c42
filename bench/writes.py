"""Single writes: one POST a transaction by many clients, against a row trigger that recomputes the profile."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice, repeat

from bench import load_generator, postgres_cpu
from bench.application import NAIVE
from bench.environment import BenchClub, BenchEnvironment, wait_for_autovacuum
from bench.load_generator import Load
from bench.naive import recompute_by_trigger
from bench.postgres_cpu import PostgresCpu
from bench.requests import writes
from bench.result import Findings
from bench.seed_data import seed_database
from bench.serving import RunningServer, serve
from bench.size import Size

CLIENTS = 64
ROUNDS = 4
HOT = 50
PATH = "/api/v3/transactions"


class _Contender:
    """One way to write, to a club of its own, and what was measured of it."""

    def __init__(self, environment: BenchEnvironment, club: BenchClub, path: str) -> None:
        self._environment = environment
        self._club = club
        self._path = path
        self.reset()

    def reset(self) -> None:
        """Discards what was measured."""
        self.loads: list[Load] = []
        self.server_cpu: list[float] = []
        self.database_cpu: list[PostgresCpu] = []

    def measure(self, server: RunningServer, profiles: Sequence[int], seconds: float) -> Load:
        """One round."""
        expected = self.loads[-1].per_second * 1.5 if self.loads else 4_000
        requests = writes(self._club, self._path, profiles, int(expected * seconds) + CLIENTS)
        cpu_before = server.cpu_seconds()
        with postgres_cpu.measure(self._environment.postmaster_pid) as database:
            load = load_generator.closed_loop(server.port, iter(requests), CLIENTS, seconds).require(201)
        self.loads.append(load)
        self.server_cpu.append(1e6 * (server.cpu_seconds() - cpu_before) / load.responses)
        self.database_cpu.append(database.per(load.responses))
        return load


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
        f"{HOT} hot profiles: all writes of a round are of {HOT} profiles, of others in each round, so that "
        f"the histories of the rounds before are not measured."
    )
    store = environment.database()
    product, naive = store.create_club("product"), store.create_club("naive")
    for club in (product, naive):
        seed_database(store, club, profiles, 10 * profiles)
    recompute_by_trigger(store, naive)
    contenders = (_Contender(environment, product, PATH), _Contender(environment, naive, NAIVE))
    for workers in (1, 4):
        with serve(environment, store, workers) as server:
            for hot in (False, True):
                with store.owner_connection() as connection:
                    wait_for_autovacuum(connection)
                case = f"{workers} process{'es' if workers > 1 else ''}{f', {HOT} hot profiles' if hot else ''}"
                profiles_by_round = _hot(profiles) if hot else repeat(range(1, profiles + 1))
                _rounds(server, contenders, profiles_by_round, seconds, size.rounds(ROUNDS))
                _report(contenders, case, 100 if hot else 50, findings)


def _hot(profiles: int) -> Iterator[Sequence[int]]:
    """The hot profiles of each round."""
    return (range(first, first + HOT) for first in cycle(range(1, profiles - HOT, HOT)))


def _rounds(
    server: RunningServer,
    contenders: tuple[_Contender, _Contender],
    profiles_by_round: Iterator[Sequence[int]],
    seconds: float,
    rounds: int,
) -> None:
    profiles = next(profiles_by_round)
    for contender in contenders:
        contender.reset()
        # Every connection of every process plans its statements.
        contender.measure(server, profiles, seconds)
        contender.reset()
    for profiles in islice(profiles_by_round, rounds):
        for contender in contenders:
            contender.measure(server, profiles, seconds)


def _report(contenders: tuple[_Contender, _Contender], case: str, most: float, findings: Findings) -> None:
    product, naive = contenders
    findings.record(f"product, {case}", [each.per_second for each in product.loads], "transactions/s")
    findings.record(f"naive, {case}", [each.per_second for each in naive.loads], "transactions/s")
    ratios = [first.per_second / second.per_second for first, second in zip(product.loads, naive.loads, strict=True)]
    ratio = findings.record(f"product / naive, {case}", ratios, "")
    findings.record(f"product, {case}, p50", [each.percentile(50) for each in product.loads], "ms")
    p99 = findings.record(f"product, {case}, p99", [each.percentile(99) for each in product.loads], "ms")
    findings.record(f"naive, {case}, p99", [each.percentile(99) for each in naive.loads], "ms")
    for name, contender in (("product", product), ("naive", naive)):
        findings.record(f"{name}, {case}, CPU of the server", contender.server_cpu, "µs a transaction")
        postgres_cpu.record(findings, f"{name}, {case}, CPU of PostgreSQL", contender.database_cpu, "µs a transaction")
    findings.target_at_least(f"Single writes, {CLIENTS} clients, {case}: at least 3 times the naive way", ratio, 3)
    findings.target_at_most(f"Single writes, {CLIENTS} clients, {case}: p99 under {most:g} ms", p99, most, "ms")
