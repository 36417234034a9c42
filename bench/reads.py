"""Reading values: requests a second against an empty route, and the latency at a fixed rate."""

import itertools
from collections.abc import Iterator

from bench import load_generator, postgres_cpu
from bench.application import EMPTY
from bench.environment import BenchClub, BenchEnvironment
from bench.load_generator import Load, Request
from bench.postgres_cpu import PostgresCpu
from bench.requests import reads, request
from bench.result import Findings
from bench.seed_data import seed_database
from bench.serving import RunningServer, serve
from bench.size import Size

CONNECTIONS = 64
ROUNDS = 7
RATE = 1_000
REPEATED = 2_000
"""Profiles that are read repeatedly."""


def _empty(club: BenchClub) -> Iterator[Request]:
    return itertools.repeat(request(club, "GET", EMPTY))


class _Cost:
    """Requests a second, and the CPU that the server and PostgreSQL used for each."""

    def __init__(self) -> None:
        self.per_second: list[float] = []
        self.server_cpu: list[float] = []
        self.database_cpu: list[PostgresCpu] = []

    def measure(
        self, environment: BenchEnvironment, server: RunningServer, requests: Iterator[Request], seconds: float
    ) -> Load:
        cpu_before = server.cpu_seconds()
        with postgres_cpu.measure(environment.postmaster_pid) as database:
            load = load_generator.closed_loop(server.port, requests, CONNECTIONS, seconds).require(200)
        self.per_second.append(load.per_second)
        self.server_cpu.append(1e6 * (server.cpu_seconds() - cpu_before) / load.responses)
        self.database_cpu.append(database.per(load.responses))
        return load


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """GET aggregations of random ones among a million profiles."""
    profiles = size.rows(1_000_000, 1_000)
    seconds = size.seconds(5)
    findings.describe(
        f"{profiles:,} profiles with {4 * profiles:,} transactions; every value computed by the product's own refresh."
    )
    findings.describe(
        f"Closed loop of {CONNECTIONS} connections, rounds of {seconds:g} s that take turns; the load generator "
        f"runs on the same cores. Reads are of random profiles; repeated reads are of {REPEATED:,} profiles."
    )
    store = environment.database()
    club = store.create_club("reads")
    seed_database(store, club, profiles, 4 * profiles)
    for workers in (1, 2):
        with serve(environment, store, workers) as server:
            _throughput(environment, server, club, profiles, workers, size, findings)
    with serve(environment, store) as server:
        _latency(server, club, profiles, size, findings)


def _throughput(
    environment: BenchEnvironment,
    server: RunningServer,
    club: BenchClub,
    profiles: int,
    workers: int,
    size: Size,
    findings: Findings,
) -> None:
    # Of ever different profiles, and of few, whose encoded values the server has in memory.
    requests_by_route, repeated_requests = reads(club, profiles, 200_000), reads(club, min(profiles, REPEATED))
    empty, values, repeated = _Cost(), _Cost(), _Cost()
    seconds = size.seconds(5)
    for requests in (requests_by_route, repeated_requests):
        _Cost().measure(environment, server, requests, seconds / 2)
    for _ in range(size.rounds(ROUNDS)):
        empty.measure(environment, server, _empty(club), seconds)
        values.measure(environment, server, requests_by_route, seconds)
        repeated.measure(environment, server, repeated_requests, seconds)
    kind = f"{workers} worker{'s' if workers > 1 else ''}"
    findings.record(f"empty route, {kind}", empty.per_second, "requests/s")
    findings.record(f"GET aggregations, {kind}", values.per_second, "requests/s")
    ratios = [value / empty for value, empty in zip(values.per_second, empty.per_second, strict=True)]
    ratio = findings.record(f"GET aggregations / empty route, {kind}", ratios, "")
    findings.record(f"CPU of the server for an empty answer, {kind}", empty.server_cpu, "µs")
    findings.record(f"CPU of the server for a read, {kind}", values.server_cpu, "µs")
    postgres_cpu.record(findings, f"CPU of PostgreSQL for a read, {kind}", values.database_cpu, "µs")
    findings.record(f"GET aggregations, repeated, {kind}", repeated.per_second, "requests/s")
    findings.record(f"CPU of the server for a repeated read, {kind}", repeated.server_cpu, "µs")
    postgres_cpu.record(findings, f"CPU of PostgreSQL for a repeated read, {kind}", repeated.database_cpu, "µs")
    findings.target_at_least(
        f"GET aggregations, {kind}: at least half the requests a second of an empty JSON route of the same server",
        ratio,
        0.5,
    )


def _latency(server: RunningServer, club: BenchClub, profiles: int, size: Size, findings: Findings) -> None:
    requests_by_route = {"empty route": _empty(club), "GET aggregations": reads(club, profiles, 100_000)}
    seconds = size.seconds(30)
    rounds: dict[str, list[Load]] = {name: [] for name in requests_by_route}
    load_generator.open_loop(
        server.port, requests_by_route["GET aggregations"], CONNECTIONS, max(1, seconds / 10), RATE
    )
    for _ in range(size.rounds(3)):
        for name, requests in requests_by_route.items():
            load = load_generator.open_loop(server.port, requests, CONNECTIONS, seconds, RATE)
            rounds[name].append(load.require(200))
    findings.describe(
        f"Open loop: {RATE:,} requests a second fall due evenly for {seconds:g} s, three rounds; what the empty route "
        f"needs is the machine's and the load generator's own."
    )
    ratios = [
        values.percentile(99) / empty.percentile(99)
        for empty, values in zip(rounds["empty route"], rounds["GET aggregations"], strict=True)
    ]
    ratio = findings.record(f"GET aggregations / empty route at {RATE:,} requests/s, p99", ratios, "")
    findings.target_at_most(
        f"GET aggregations: p99 at {RATE:,} requests/s at most 3 times that of the empty route in the same run",
        ratio,
        3,
    )
    for name, loads in rounds.items():
        for percent in (50, 99, 99.9):
            values = [each.percentile(percent) for each in loads]
            percentile = findings.record(f"{name} at {RATE:,} requests/s, p{percent:g}", values, "ms")
            if percent == 99 and name != "empty route":
                findings.target_at_most(
                    f"GET aggregations: p99 under 5 ms at 1,000 requests/s with {profiles:,} profiles stored",
                    percentile,
                    5,
                    "ms",
                )
