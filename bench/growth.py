"""Whether a write costs more when the table is larger: 10 million transactions against 100,000."""

import random

from bench import load_generator, processes
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, wait_for_autovacuum
from bench.load_generator import Load, Request
from bench.requests import batches, writes
from bench.result import Findings
from bench.seed_data import seed_database
from bench.serving import RunningServer, serve
from bench.size import Size

ROUNDS = 7
MAX_GROWTH_PERCENT = 25
PATH = "/api/v3/transactions"
BATCH = 50


class _Side:
    """One of the two databases, with its server."""

    def __init__(self, server: RunningServer, club: BenchClub, profiles: int) -> None:
        self.server = server
        self.club = club
        self.profiles = range(1, profiles + 1)

    def requests(self, case: str, number: int) -> list[Request]:
        if case == "batches":
            return batches(self.club, self.profiles, number, BATCH)
        return writes(self.club, PATH, self.profiles, number)


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """The same writes, in turns, to a small and to a large database of one server."""
    small, large = min(10_000, size.rows(100_000, 1_000)), size.rows(1_000_000, 2_000)
    findings.describe(
        f"Two databases in one PostgreSQL server: {10 * small:,} transactions of {small:,} profiles, and "
        f"{10 * large:,} of {large:,}. Writes are of random profiles, with two lines each, by one client at a time, by "
        f"64 clients, and in batches of {BATCH} by one client; the two take turns."
    )
    findings.describe("CPU is that of the server and of PostgreSQL with its background processes, a transaction.")
    stores = (environment.database(), environment.database("large"))
    clubs = []
    for store, profiles in zip(stores, (small, large), strict=True):
        clubs.append(store.create_club("growth"))
        seed_database(store, clubs[-1], profiles, 10 * profiles)
    with serve(environment, stores[0]) as one, serve(environment, stores[1]) as other:
        sides = (_Side(one, clubs[0], small), _Side(other, clubs[1], large))
        for case, connections, number in (
            ("single, 1 client", 1, 300),
            ("single, 64 clients", 64, 4_000),
            ("batches", 1, 40),
        ):
            _wait_for_autovacuum(stores)
            _compare(environment, sides, case, connections, size.rows(number, 64), size.rounds(ROUNDS), findings)


def _wait_for_autovacuum(stores: tuple[BenchDatabase, BenchDatabase]) -> None:
    for store in stores:
        with store.owner_connection() as connection:
            wait_for_autovacuum(connection)


def _compare(
    environment: BenchEnvironment,
    sides: tuple[_Side, _Side],
    case: str,
    connections: int,
    number: int,
    rounds: int,
    findings: Findings,
) -> None:
    loads: tuple[list[Load], list[Load]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    rows = BATCH if case == "batches" else 1
    for round_number in range(rounds + 1):
        # Which goes first changes, for what the first writes is still being written out while the second runs.
        for index in random.Random(round_number).sample((0, 1), 2):
            side = sides[index]
            requests = side.requests(case, number)
            before = side.server.cpu_seconds() + processes.cpu_seconds(environment.postmaster_pid)
            load = load_generator.closed_loop(side.server.port, iter(requests), connections, 600).require(200, 201)
            cpu_seconds = side.server.cpu_seconds() + processes.cpu_seconds(environment.postmaster_pid) - before
            if round_number:
                loads[index].append(load)
                cpu[index].append(1e6 * cpu_seconds / load.responses / rows)
    name = f"batches of {BATCH}, 1 client" if rows > 1 else case
    for size, size_loads, cpu_of_size in zip(("small", "large"), loads, cpu, strict=True):
        findings.record(f"{name}, {size}: p50", [each.percentile(50) for each in size_loads], "ms")
        findings.record(f"{name}, {size}: transactions/s", [each.per_second * rows for each in size_loads], "")
        findings.record(f"{name}, {size}: CPU", cpu_of_size, "µs a transaction")
    slower = [100 * (one.per_second / other.per_second - 1) for one, other in zip(*loads, strict=True)]
    growth = findings.record(f"{name}: time a write, large against small", slower, "percent more")
    findings.target_at_most(
        f"{name}: a write with {len(sides[1].profiles) * 10:,} transactions stored within {MAX_GROWTH_PERCENT} percent of "
        f"one with {len(sides[0].profiles) * 10:,}",
        growth,
        MAX_GROWTH_PERCENT,
        "percent more",
    )
