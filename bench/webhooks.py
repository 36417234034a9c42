"""Webhooks: deliveries a second to a local receiver, what a commit with webhooks costs, and the time until arrival."""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import load_generator, postgres_cpu, processes
from bench.environment import BenchClub, BenchDatabase, BenchEnvironment, fetch_one, wait_for_autovacuum
from bench.latency import percentile
from bench.postgres_cpu import PostgresCpu
from bench.requests import writes
from bench.result import Findings
from bench.seed_data import seed_database, sql
from bench.serving import RunningServer, serve
from bench.size import Size
from bench.webhook_senders import NAIVE_TASKS, Sent
from regulars.jobs.maintain_segments import SegmentMaintenance
from regulars.segments import changes
from regulars.segments.changes import Author, SegmentInput
from regulars.storage.database import Database

ROUNDS = 3
RATE = 200
CLIENTS = 16
PATH = "/api/v3/transactions"
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class RunningReceiver:
    """A receiver on a port of this machine."""

    port: int
    process: int

    @property
    def url(self) -> str:
        """Where deliveries are sent."""
        return f"http://127.0.0.1:{self.port}/"

    def latencies(self) -> list[float]:
        """The seconds from each event to its arrival, in the order of arrival."""
        with urllib.request.urlopen(self.url, timeout=60) as response:  # noqa: S310 - of this machine
            return msgspec.json.decode(response.read(), type=list[float])


@contextmanager
def receive(environment: BenchEnvironment) -> Iterator[RunningReceiver]:
    """Runs a receiver for the duration of the block."""
    port_file = environment.folder / "receiver.port"
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "bench.webhook_receiver", str(port_file)], cwd=_ROOT)
    while not (port_file.exists() and port_file.read_text()):
        time.sleep(0.02)
    try:
        yield RunningReceiver(int(port_file.read_text()), process.pid)
    finally:
        process.terminate()
        process.wait()


def run(environment: BenchEnvironment, size: Size, findings: Findings) -> None:
    """The product and the naive way take turns to send the same events; then the cost of commits, and latencies."""
    profiles, events = size.rows(20_000, 200), size.rows(4_000, 100)
    findings.describe(
        f"{events:,} events of transactions, of a profile each, are matched with one webhook (payloads with the purchase "
        f"and all values of the profile) and sent by one process to a receiver in another. Naive: {NAIVE_TASKS} tasks, "
        f"each of which locks a delivery (SKIP LOCKED), posts it by httpx and marks it, in a transaction of its own. It "
        f"signs nothing, and has no order and no retries, so it does less."
    )
    findings.describe(
        f"Commits: {CLIENTS} clients in a closed loop, one POST a transaction with two lines; rounds take turns between "
        f"a community without webhooks, with one that listens to other events, and with one that is sent each purchase "
        f"and each change of values; deliveries are sent meanwhile by the same server."
    )
    store = environment.database()
    with receive(environment) as receiver:
        _measure_sending(environment, store, receiver, profiles, events, size, findings)
        _measure_commits(environment, store, receiver, profiles, size, findings)


# Sending ------------------------------------------------------------------------------------------------


def _measure_sending(
    environment: BenchEnvironment,
    store: BenchDatabase,
    receiver: RunningReceiver,
    profiles: int,
    events: int,
    size: Size,
    findings: Findings,
) -> None:
    club = store.create_club("sending")
    seed_database(store, club, profiles, profiles)
    _listen(store, club, receiver, "transaction.*")
    matching: list[float] = []
    rates: dict[str, list[float]] = {"product": [], "naive": []}
    cpu: dict[str, list[float]] = {"product": [], "naive": []}
    database_cpu: dict[str, list[PostgresCpu]] = {"product": [], "naive": []}
    for _ in range(size.rounds(ROUNDS)):
        for name in rates:
            _store_events(store, club, events)
            matched = _run_sender("match", store, club)
            matching.append(1e6 * matched.cpu_seconds / events)
            with postgres_cpu.measure(environment.postmaster_pid) as used:
                sent = _run_sender(name, store, club)
            rates[name].append(events / sent.seconds)
            cpu[name].append(1e6 * sent.cpu_seconds / events)
            database_cpu[name].append(used.per(events))
            _require_delivered(store, club)
    for name, values in rates.items():
        findings.record(f"{name}, sending", values, "deliveries/s")
        findings.record(f"{name}, sending: CPU of the sender", cpu[name], "µs a delivery")
        postgres_cpu.record(findings, f"{name}, sending: CPU of PostgreSQL", database_cpu[name], "µs a delivery")
    findings.record("product, matching and payloads: CPU", matching, "µs an event")
    by_cpu = findings.record(
        "product, sending, by CPU", [1e6 / each for each in cpu["product"]], "deliveries/s of a core"
    )
    findings.target_at_least("Webhooks: 2,000 deliveries/s of a core's CPU to a local receiver", by_cpu, 2_000)
    ratio = findings.record(
        "product / naive, sending",
        [one / other for one, other in zip(rates["product"], rates["naive"], strict=True)],
        "",
    )
    findings.target_at_least("Webhooks: faster than a job for each delivery, times", ratio, 1)


def _listen(store: BenchDatabase, club: BenchClub, receiver: RunningReceiver, trigger: str) -> None:
    with store.app_connection(club) as connection:
        connection.execute(
            b"INSERT INTO webhooks (community_id, trigger, url, secret, created_at, updated_at) "
            b"VALUES ($1, $2, $3, 'secret', now(), now())",
            [club.id, trigger, receiver.url],
        )


def _store_events(store: BenchDatabase, club: BenchClub, events: int) -> None:
    with store.app_connection(club) as connection:
        connection.execute(b"DELETE FROM webhook_deliveries WHERE community_id = $1", [club.id])
        connection.execute(
            b"INSERT INTO webhook_events (community_id, type, occurred_at, profile_id, subject_id) "
            b"SELECT DISTINCT ON (profile_id) community_id, 'transaction.created', now(), profile_id, id::text "
            b"FROM transactions WHERE community_id = $1 AND profile_id IS NOT NULL LIMIT $2",
            [club.id, events],
        )
    store.vacuum("webhook_deliveries", "webhook_events")


def _run_sender(name: str, store: BenchDatabase, club: BenchClub) -> Sent:
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "src")])
    command = [sys.executable, "-m", "bench.webhook_senders", name, store.app_url, str(club.id)]
    completed = subprocess.run(
        command, cwd=_ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return msgspec.json.decode(completed.stdout.splitlines()[-1], type=Sent)


def _require_delivered(store: BenchDatabase, club: BenchClub) -> None:
    with store.app_connection(club) as connection:
        statement = "SELECT count(*) FROM webhook_deliveries WHERE community_id = $1 AND status <> 'delivered'"
        assert fetch_one(connection, statement, [club.id]) == (0,)


# Commits ------------------------------------------------------------------------------------------------


def _measure_commits(
    environment: BenchEnvironment,
    store: BenchDatabase,
    receiver: RunningReceiver,
    profiles: int,
    size: Size,
    findings: Findings,
) -> None:
    cases = {
        "no webhook": (),
        "a webhook of other events": ("export.*",),
        "purchases and changes": ("transaction.*", "aggregation.changed"),
    }
    clubs: dict[str, BenchClub] = {}
    for number, (case, triggers) in enumerate(cases.items()):
        clubs[case] = store.create_club(f"commits-{number}")
        seed_database(store, clubs[case], profiles, profiles)
        for trigger in triggers:
            _listen(store, clubs[case], receiver, trigger)
    entering = store.create_club("entering")
    _seed_segment(store, entering, profiles)
    _listen(store, entering, receiver, "segment.entered")
    with serve(environment, store, 1, webhook_allowed_networks="127.0.0.0/8") as server:
        _compare_commits(environment, server, store, clubs, profiles, size, findings)
        findings.describe(
            f"Arrival: {RATE} purchases/s, in one community each with two deliveries (the purchase, the change of "
            f"values), in another with one for each member that enters a segment; from the start of the commit's "
            f"transaction to the arrival at the receiver."
        )
        listening = clubs["purchases and changes"]
        before = _count_deliveries(store, listening)
        latencies = _measure_arrival(server, receiver, listening, profiles, size)
        _record_arrival("a purchase", latencies, findings)
        created = _count_deliveries(store, listening) - before
        arrived = f"{len(latencies):,} of {created:,}"
        findings.target("Webhooks: every delivery arrives", arrived, len(latencies) >= created)
        latencies = _measure_arrival(server, receiver, entering, profiles, size)
        _record_arrival("segment.entered", latencies, findings)


def _count_deliveries(store: BenchDatabase, club: BenchClub) -> int:
    with store.app_connection(club) as connection:
        statement = "SELECT count(*) FROM webhook_deliveries WHERE community_id = $1"
        count: int = fetch_one(connection, statement, [club.id])[0]
        return count


def _seed_segment(store: BenchDatabase, club: BenchClub, profiles: int) -> None:
    """Members, and a segment of those with two shop days or more, which many enter by their next purchase."""
    seed_database(store, club, profiles, profiles)
    with store.owner_connection() as connection:
        connection.execute(sql("fill_members").replace("$1", str(club.id)).encode())
    store.vacuum("members")
    filter_ = {"type": "greater_than", "field": "aggregations.shop_days", "value": 1}
    new = SegmentInput("returning", "", msgspec.Raw(msgspec.json.encode(filter_)))

    async def create() -> None:
        async with Database(store.app_url, 1) as database:
            async with database.write_transaction(club.id) as scope:
                await changes.create(scope, new, Author(), 1)
            await SegmentMaintenance(database).run_community(club.id)

    asyncio.run(create())


def _compare_commits(
    environment: BenchEnvironment,
    server: RunningServer,
    store: BenchDatabase,
    clubs: dict[str, BenchClub],
    profiles: int,
    size: Size,
    findings: Findings,
) -> None:
    seconds = size.seconds(5)
    cpu: dict[str, list[float]] = {case: [] for case in clubs}
    for index in range(size.rounds(ROUNDS) + 1):
        for case, club in clubs.items():
            with store.owner_connection() as connection:
                wait_for_autovacuum(connection)
            requests = writes(club, PATH, range(1, profiles + 1), int(3_000 * seconds) + CLIENTS)
            before = server.cpu_seconds() + processes.cpu_seconds(environment.postmaster_pid)
            load = load_generator.closed_loop(server.port, iter(requests), CLIENTS, seconds).require(201)
            used = server.cpu_seconds() + processes.cpu_seconds(environment.postmaster_pid) - before
            # The first round plans the statements.
            if index:
                cpu[case].append(1e6 * used / load.responses)
    for case, values in cpu.items():
        findings.record(f"a purchase, {case}: CPU of server and PostgreSQL", values, "µs")
    without, with_other = cpu["no webhook"], cpu["a webhook of other events"]
    increase = findings.record(
        "a purchase, with a webhook of other events: more CPU",
        [100 * (one / two - 1) for one, two in zip(with_other, without, strict=True)],
        "percent",
    )
    findings.target_at_most(
        "A webhook of other events: a purchase costs at most 5 percent more CPU", increase, 5, "percent"
    )


def _wait_for_deliveries(receiver: RunningReceiver) -> int:
    """The number of deliveries that have arrived, once no more come."""
    count = -1
    while count != (count := len(receiver.latencies())):
        time.sleep(2.0)
    return count


def _measure_arrival(
    server: RunningServer, receiver: RunningReceiver, club: BenchClub, profiles: int, size: Size
) -> list[float]:
    """The milliseconds until each delivery of purchases arrived."""
    seconds = size.seconds(20)
    before = _wait_for_deliveries(receiver)
    requests = writes(club, PATH, range(1, profiles + 1), int(RATE * seconds) + CLIENTS)
    load_generator.open_loop(server.port, iter(requests), CLIENTS, seconds, RATE).require(201)
    _wait_for_deliveries(receiver)
    return [1000 * each for each in receiver.latencies()[before:]]


def _record_arrival(name: str, latencies: Sequence[float], findings: Findings) -> None:
    findings.record(f"{name}: from the commit to the arrival, p50", percentile(latencies, 50), "ms")
    p99 = findings.record(f"{name}: from the commit to the arrival, p99", percentile(latencies, 99), "ms")
    claim = f"Webhooks: {name} arrives within 1 s of the commit at {RATE} purchases/s, p99"
    findings.target_at_most(claim, p99, 1_000, "ms")
