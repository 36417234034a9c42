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
MOST = 25
PATH = "/api/v3/transactions"
BATCH = 50


class _Side:
    """One of the two databases, with its server."""

    def __init__(self, served: RunningServer, club: BenchClub, profiles: int) -> None:
        self.served = served
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
            _settled(stores)
            _compare(environment, sides, case, connections, size.rows(number, 64), size.rounds(ROUNDS), findings)


def _settled(stores: tuple[BenchDatabase, BenchDatabase]) -> None:
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
    for round_ in range(rounds + 1):
        # Which goes first changes, for what the first writes is still being written out while the second runs.
        for place_ in random.Random(round_).sample((0, 1), 2):
            side = sides[place_]
            requests = side.requests(case, number)
            before = side.served.cpu_seconds() + processes.cpu_seconds(environment.postmaster_pid)
            done = load_generator.closed_loop(side.served.port, iter(requests), connections, 600).require(200, 201)
            used = side.served.cpu_seconds() + processes.cpu_seconds(environment.postmaster_pid) - before
            if round_:
                loads[place_].append(done)
                cpu[place_].append(1e6 * used / done.responses / rows)
    name = f"batches of {BATCH}, 1 client" if rows > 1 else case
    for size, size_loads, used_ in zip(("small", "large"), loads, cpu, strict=True):
        findings.record(f"{name}, {size}: p50", [each.percentile(50) for each in size_loads], "ms")
        findings.record(f"{name}, {size}: transactions/s", [each.per_second * rows for each in size_loads], "")
        findings.record(f"{name}, {size}: CPU", used_, "µs a transaction")
    slower = [100 * (one.per_second / other.per_second - 1) for one, other in zip(*loads, strict=True)]
    growth = findings.record(f"{name}: time a write, large against small", slower, "percent more")
    findings.target_at_most(
        f"{name}: a write with {len(sides[1].profiles) * 10:,} transactions stored within {MOST} percent of one with "
        f"{len(sides[0].profiles) * 10:,}",
        growth,
        MOST,
        "percent more",
    )
