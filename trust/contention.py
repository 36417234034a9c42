"""Many writers on few profiles: every acknowledged write is counted once, and no writer gets a deadlock."""

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import httpx

from trust.clubs import Club, create_club
from trust.ledger import Ledger, differences, merge
from trust.run import Run
from trust.server import RunningServer, command, connect, serving
from trust.writers import (
    WriteOperation,
    Writer,
    batch,
    change,
    delete,
    duplicate,
    events,
    find_spend_mismatches,
    imported,
    invalid,
    move,
    repeated,
    single,
    void,
)

WRITERS, PROCESSES, PROFILES = 16, 4, 30
SECONDS = 60.0
SERVER_WORKERS = 2

WAYS: tuple[WriteOperation, ...] = (
    *[single] * 5,
    *[batch] * 2,
    *[change] * 2,
    *[move] * 2,
    imported,
    events,
    void,
    delete,
    duplicate,
    invalid,
    repeated,
)


def run(run: Run) -> None:
    """Runs writers in several processes on the same profiles for some time."""
    seconds, processes = run.scaled_seconds(SECONDS, 1), run.scaled_count(PROCESSES, 1)
    run.describe(
        f"{WRITERS} clients in {processes} processes write to the same {PROFILES} profiles for {seconds:g} s, to "
        f"a server of {SERVER_WORKERS} processes: transactions one by one, in batches and in imports, several "
        "concurrently with the same Idempotency-Key, with external ids that another client may have used, and "
        "with invalid rows; they change and void transactions, move them from one profile to another and delete "
        "them, and import events of sendings."
    )
    with serving(run.folder / "server", workers=SERVER_WORKERS, max_concurrent_imports=WRITERS + 1) as server:
        club = create_club(server)
        shared = asyncio.run(_profiles(server, club.token))
        ledger = merge(_written(server, club.token, shared, run.seed, seconds, processes))
        ledger.profiles |= dict.fromkeys(shared, "active")
        _check(run, server, club, ledger, shared)


async def _profiles(server: RunningServer, token: str) -> list[str]:
    async with _client(server.url, token) as http:
        answers = [await http.post("/api/v3/profiles", json={"first_name": "Kari"}) for _ in range(PROFILES)]
    return [answer.json()["data"]["id"] for answer in answers]


def _client(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def _written(
    server: RunningServer, token: str, shared: list[str], seed: int, seconds: float, processes: int
) -> list[Ledger]:
    numbers = [list(range(process, WRITERS, processes)) for process in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(_write, server.url, token, shared, each, seed, seconds) for each in numbers]
        return [ledger for part in parts for ledger in part.result(timeout=seconds + 120)]


def _write(url: str, token: str, shared: list[str], numbers: list[int], seed: int, seconds: float) -> list[Ledger]:
    """Runs the writers of one process."""
    return asyncio.run(_write_all(url, token, shared, numbers, seed, seconds))


async def _write_all(
    url: str, token: str, shared: list[str], numbers: list[int], seed: int, seconds: float
) -> list[Ledger]:
    until = time.monotonic() + seconds
    async with _client(url, token) as http:
        writers = [Writer(http, f"w{number}", seed, shared, WAYS) for number in numbers]
        await asyncio.gather(*(each.write(lambda: time.monotonic() > until) for each in writers))
    return [each.ledger for each in writers]


def _check(run: Run, server: RunningServer, club: Club, ledger: Ledger, shared: list[str]) -> None:
    with connect(server.owner_url) as connection:
        different = differences(ledger, connection, club.id)
        deadlocks = connection.execute("SELECT sum(deadlocks)::int FROM pg_stat_database").fetchone()
    assert deadlocks is not None
    wrong = asyncio.run(_wrong_spend(server, club.token, ledger, shared))
    faults = sum(count for status, count in ledger.answers.items() if status[0] not in "24")
    run.figure("requests sent", sum(ledger.answers.values()))
    run.figure("writes acknowledged", sum(ledger.acknowledged.values()))
    run.figure("transactions stored", len(ledger.sales))
    run.figure("deadlocks that PostgreSQL resolved and the server retried", int(str(deadlocks[0])))
    run.check_none(
        "every acknowledged write is stored exactly once, and nothing else",
        different,
        len(ledger.sales) + len(ledger.deleted) + sum(ledger.events.values()),
        "transactions and events",
    )
    run.check_none("each profile's spend is the sum of its acknowledged transactions", wrong, PROFILES, "profiles")
    sent = sum(ledger.answers.values())
    run.check("no client gets a deadlock or another system error", f"{faults} of {sent:,} responses", not faults)
    run.check_none("every response is the expected one", ledger.violations, sent, "requests")
    try:
        verified, clean = command(server.folder, "verify").splitlines()[-1], True
    except RuntimeError as error:
        verified, clean = str(error)[-300:], False
    run.check("`regulars verify` finds no differences", verified, clean)
    run.table("Acknowledged writes by kind", ("write", "number"), sorted(ledger.acknowledged.items()))


async def _wrong_spend(server: RunningServer, token: str, ledger: Ledger, shared: list[str]) -> list[str]:
    async with _client(server.url, token) as http:
        return await find_spend_mismatches(http, ledger, shared)
